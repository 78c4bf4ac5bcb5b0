//go:build mage

package main

import (
	"os"
	"strings"
	"testing"
)

// The token is not for the programs that a build runs; without one nothing is
// built in vain.
func TestDestination(t *testing.T) {
	t.Setenv("GITHUB_TOKEN", "secret")
	t.Setenv("GH_TOKEN", "secret")
	if to, err := destination("owner/name", false); err != nil || to.Name() != "owner/name" {
		t.Errorf("%v, %v", to, err)
	}
	for _, variable := range []string{"GITHUB_TOKEN", "GH_TOKEN"} {
		if value, ok := os.LookupEnv(variable); ok {
			t.Errorf("%s is still %q", variable, value)
		}
	}
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
