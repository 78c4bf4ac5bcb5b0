package spire

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// program puts a program into PATH that does what the script says.
func program(t *testing.T, script string) Program {
	t.Helper()
	folder := t.TempDir()
	if err := os.WriteFile(filepath.Join(folder, "spire-test"), []byte("#!/bin/sh\n"+script+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", folder+":"+os.Getenv("PATH"))
	t.Setenv("SECRET", "of this shell")
	return Program{Name: "spire-test", User: "nobody-of-that-name"}
}

func TestValidate(t *testing.T) {
	for name, test := range map[string]struct{ script, words string }{
		"as the service reads it": {`[ "$*" = "validate -config /c -expandEnv -more x" ] && [ "$TOKEN" = y ] && [ -z "$SECRET" ]`, ""},
		"a reason":                {`echo "time=x level=warning msg=y"; echo "SPIRE agent configuration file is invalid: trust_domain must be configured"; exit 1`, "so nothing was changed: SPIRE agent configuration file is invalid: trust_domain must be configured"},
		"several lines":           {`printf 'SPIRE server configuration file is invalid.\nValidation errors:\n\tNodeAttestor "x":\n\t\tunable to decode\nmore\n'; exit 1`, `is invalid. Validation errors: NodeAttestor "x": unable to decode`},
		"another word":            {`echo "something else" >&2; exit 3`, "something else (exit status 3)"},
	} {
		t.Run(name, func(t *testing.T) {
			err := program(t, test.script).Validate(t.Context(), "/c", map[string]string{"TOKEN": "y"}, "-more", "x")
			if (err == nil) != (test.words == "") || err != nil && !strings.Contains(err.Error(), test.words) {
				t.Errorf("error %v, want %q", err, test.words)
			}
		})
	}
}

// TestAsTheService has root become the service's user, as whom a file of root's is closed.
func TestAsTheService(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("NOT TESTED: only root can become another user")
	}
	folder, err := os.MkdirTemp("", "spire")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(folder) })
	if err := os.Chmod(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(folder, "spire-test"), []byte("#!/bin/sh\nid -un >&2\nexit 1\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", folder+":"+os.Getenv("PATH"))
	err = Program{Name: "spire-test", User: "daemon"}.Validate(t.Context(), "/c", nil)
	if err == nil || !strings.Contains(err.Error(), "daemon (exit status 1)") {
		t.Error(err)
	}
}

func TestVersion(t *testing.T) {
	if got := program(t, `echo 1.14.5 >&2`).Version(t.Context()); got != "1.14.5" {
		t.Errorf("%q", got)
	}
	if got := (Program{Name: "not-installed-at-all"}).Version(t.Context()); got != "" {
		t.Errorf("%q", got)
	}
	err := Program{Name: "not-installed-at-all"}.Validate(t.Context(), "/c", nil)
	if err == nil || !strings.Contains(err.Error(), "it is not installed") {
		t.Error(err)
	}
}
