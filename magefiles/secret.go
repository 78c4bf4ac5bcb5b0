//go:build mage

package main

import (
	"fmt"
	"os"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/secret"
)

// Before any target: what a target starts must find no secret.
func init() {
	if err := secret.Take(); err != nil {
		fmt.Fprintln(os.Stderr, "Error:", err)
		os.Exit(1)
	}
}
