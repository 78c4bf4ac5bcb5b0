package manual

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestReal makes the pages of real binaries, in the directory that
// SPIRE_TEST_BINARIES names.
func TestReal(t *testing.T) {
	dir := os.Getenv("SPIRE_TEST_BINARIES")
	if dir == "" {
		t.Skip("NOT CHECKED: SPIRE_TEST_BINARIES names no directory with SPIRE's binaries")
	}
	tests := []struct{ file, name, command, flag string }{
		{"spire-server", "spire-server", "spire-server entry create", "-spiffeID"},
		{"spire-agent", "spire-agent", "spire-agent api fetch x509", "-socketPath"},
		{"oidc-discovery-provider", "spiffe-oidc-discovery-provider", "spiffe-oidc-discovery-provider", "-config"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			start := time.Now()
			c := explore(t, filepath.Join(dir, test.file), test.name)
			t.Logf("%d commands in %v", len(levels(c, "")), time.Since(start).Round(time.Millisecond))
			out := t.TempDir()
			if man := realPage(t, c, out); !strings.Contains(man, test.command) || !strings.Contains(man, test.flag) {
				t.Errorf("the page has no %s or no %s", test.command, test.flag)
			}
			script := filepath.Join(out, "completion")
			write(t, script, Completion(c))
			checkShell(t, script)
		})
	}
}

// realPage makes and checks a page, and gives it as a reader sees it.
func realPage(t *testing.T, c Command, dir string) string {
	t.Helper()
	text := fmt.Sprintf("# NAME\n\n%s - real\n\n# DESCRIPTION\n\nA test.\n\n%s\n", c.Name, Marker)
	p := Page{Command: c, Text: text, Title: "SPIRE", Version: "1.2.3", Date: time.Unix(1e9, 0)}
	man, err := p.Man()
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, c.Name+".8")
	write(t, file, man)
	checkMan(t, file)
	noMachine(t, string(man))
	return read(t, file)
}

// noMachine looks for what a run could have learned here.
func noMachine(t *testing.T, text string) {
	t.Helper()
	host, _ := os.Hostname()
	wd, _ := os.Getwd()
	for _, word := range []string{host, wd, os.Getenv("SPIRE_TEST_BINARIES")} {
		if word != "" && strings.Contains(text, word) {
			t.Errorf("the page has %q of this machine", word)
		}
	}
}

func write(t *testing.T, file string, data []byte) {
	t.Helper()
	if err := os.WriteFile(file, data, 0o644); err != nil {
		t.Fatal(err)
	}
}
