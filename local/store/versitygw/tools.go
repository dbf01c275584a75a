//go:build tools

// Package versitygw pins the S3 server of the local cloud, which is built from its Go module.
package versitygw

import (
	_ "github.com/versity/versitygw/cmd/versitygw"
)
