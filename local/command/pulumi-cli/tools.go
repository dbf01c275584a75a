//go:build tools

// Package pulumicli pins the Pulumi CLI that is built where the official one cannot be had.
package pulumicli

import _ "github.com/pulumi/pulumi/pkg/v3/cmd/pulumi"
