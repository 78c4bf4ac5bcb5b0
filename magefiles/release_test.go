//go:build mage

package main

import (
	"strings"
	"testing"
)

// Without a token nothing is built in vain.
func TestDestination(t *testing.T) {
	t.Setenv("GITHUB_TOKEN", "secret")
	t.Setenv("GH_TOKEN", "secret")
	if to, err := destination("owner/name", false); err != nil || to.Name() != "owner/name" {
		t.Errorf("%v, %v", to, err)
	}
	t.Setenv("GITHUB_TOKEN", "")
	t.Setenv("GH_TOKEN", "")
	if _, err := destination("owner/name", false); err == nil || !strings.Contains(err.Error(), "contents: write") {
		t.Errorf("the error is %v", err)
	}
	if _, err := destination("owner/name", true); err != nil {
		t.Errorf("a dry run: %v", err)
	}
	if _, err := destination("", true); err == nil || !strings.Contains(err.Error(), "-repository=owner/name") {
		t.Errorf("the error is %v", err)
	}
}
