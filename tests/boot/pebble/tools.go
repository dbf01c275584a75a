//go:build tools

// Package pebble pins Let's Encrypt's ACME server for tests, which is built from its Go module.
package pebble

import (
	_ "github.com/letsencrypt/pebble/v2/cmd/pebble"
)
