package scenario

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/run"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/suite/suitetest"
)

// vocabulary runs lines in the scenarios' own words, on this machine; programs are
// scripts that stand in for those of another one.
func vocabulary(t *testing.T, format, lines string, programs map[string]string) string {
	t.Helper()
	top, err := filepath.Abs(filepath.Join(suitetest.Root, "tests"))
	if err != nil {
		t.Fatal(err)
	}
	const place = "TOP=/opt/spire-packages\n"
	common := suitetest.Text(t, "tests/scenarios/lib/common.sh")
	if !strings.Contains(common, place) {
		t.Fatalf("common.sh has no line %q", place)
	}
	dir := t.TempDir()
	for name, script := range programs {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\n"+script+"\n"), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	script := "set -eu\n" + strings.Replace(common, place, "TOP='"+top+"'\n", 1) + "\n" + lines
	command := run.New("sh", "-c", script).WithEnv("PATH="+dir+":"+os.Getenv("PATH"),
		"FORMAT="+format, "CLIENT="+map[string]string{"deb": "apt", "rpm": "dnf"}[format], "STANDIN=", "ARCH=amd64", "PATIENCE=1")
	said, err := command.Combined(t.Context())
	if err != nil {
		t.Logf("%s: %v", lines, err)
	}
	return said
}

// TestClock: Ubuntu 26.04's date does not know the 3 in %3N, and prints all nine
// digits: no script may ask for it.
func TestClock(t *testing.T) {
	t.Parallel()
	digits := regexp.MustCompile(`%[0-9]N`)
	err := filepath.WalkDir(filepath.Join(suitetest.Root, "tests"), func(path string, entry os.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := os.ReadFile(path)
		if found := digits.Find(content); found != nil {
			t.Errorf("%s: %s", path, found)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	rust := map[string]string{"date": `case $1 in +%s%3N | +%s%N) echo 1700000000123456789 ;; *) exit 1 ;; esac`}
	if got := strings.TrimSpace(vocabulary(t, "deb", "now", rust)); got != "1700000000123" {
		t.Errorf("now is %s, want 1700000000123", got)
	}
}

// TestUnknownDirectives: of the directives of our units, those that the systemd here
// is too old for may be unknown to it, and no other.
func TestUnknownDirectives(t *testing.T) {
	t.Parallel()
	const old = `u.service:3: Unknown lvalue 'ProtectClock' in section 'Service'
u.service:4: Unknown lvalue 'ProtectKernelLogs' in section 'Service'
u.service:5: Unknown lvalue 'ProtectHostname' in section 'Service', ignoring
u.service:6: Unknown lvalue 'PrivateIPC' in section 'Service'
u.service:7: Unknown key name 'ProtectProc' in section 'Service', ignoring.
`
	const wrong = `u.service:8: Unknown lvalue 'ProtectClocks' in section 'Service'
u.service:9: Unknown lvalue 'ProtectClock' in section 'Unit'
u.service:10: Failed to parse 'ProtectClock', ignoring: maybe
`
	for version, want := range map[string]string{
		"systemd 239 (239-82.el8)": wrong,
		"systemd 246 (v246)":       strings.Join(strings.SplitAfter(old, "\n")[:3], "") + wrong,
		"systemd 252 (252.39)":     old + wrong,
	} {
		got := vocabulary(t, "rpm", "without_news <<'END'\n"+old+wrong+"END\n", map[string]string{"systemctl": "echo '" + version + "'"})
		if got != strings.TrimSpace(want) && got != want {
			t.Errorf("%s: it says\n%s\nwant\n%s", version, got, want)
		}
	}
}
