package upgrade

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spiffe-experimental/spire-config/internal/testbed"
)

// programs puts programs of those versions into PATH, and nothing else.
func programs(t *testing.T, versions map[string]string) {
	t.Helper()
	folder := t.TempDir()
	for name, version := range versions {
		script := "#!/bin/sh\necho " + version + " >&2\n"
		if err := os.WriteFile(filepath.Join(folder, name), []byte(script), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", folder)
}

func TestCheck(t *testing.T) {
	both := map[string]string{"spire-server": "1.13.3", "spire-agent": "1.12.6"}
	agent := map[string]string{"spire-agent": "1.13.3"}
	for name, test := range map[string]struct {
		installed map[string]string
		check     Check
		says      string
		refused   bool
		errors    string
	}{
		"a patch":                  {both, Check{To: "1.13.9"}, "spire-server 1.13.3 to 1.13.9: yes\nspire-agent 1.12.6 with it, until it follows: yes\n", false, ""},
		"an agent that lags":       {both, Check{To: "1.14.0"}, "spire-agent 1.12.6 with it, until it follows: no: an agent of 1.12.6 is 2 minor versions older", true, ""},
		"two at once":              {map[string]string{"spire-server": "1.12.6"}, Check{To: "1.14.0"}, "no: from 1.12.6 to 1.14.0 are 2 minor versions", true, ""},
		"an agent alone":           {agent, Check{To: "1.14.0", Server: "1.14.2"}, "spire-agent 1.13.3 to 1.14.0: yes\n", false, ""},
		"ahead of its server":      {agent, Check{To: "1.14.0", Server: "1.13.9"}, "is newer than its server", true, ""},
		"of a server that is away": {agent, Check{To: "1.14.0"}, "", false, "by --server"},
		"nothing here":             {nil, Check{To: "1.14.0"}, "", false, "neither spire-server nor spire-agent"},
		"no version":               {both, Check{To: "new"}, "", false, "no version of SPIRE"},
	} {
		t.Run(name, func(t *testing.T) {
			programs(t, test.installed)
			bed := testbed.New(t)
			err := test.check.Run(t.Context(), bed.Machine)
			if errors.Is(err, ErrRefused) != test.refused || !strings.Contains(bed.Out.String(), test.says) {
				t.Errorf("%v, %q", err, bed.Out)
			}
			if test.errors != "" && (err == nil || !strings.Contains(err.Error(), test.errors)) {
				t.Errorf("%v, want %q", err, test.errors)
			}
		})
	}
}
