package registry

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/container"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/matrix"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/run"
)

func TestSource(t *testing.T) {
	for _, test := range []struct{ registry, reference, want string }{
		{"", "fedora:44", "fedora:44"},
		{"", "opensuse/leap:16.0", "opensuse/leap:16.0"},
		{"127.0.0.1:5000", "fedora:44", "127.0.0.1:5000/library/fedora:44"},
		{"mirror.example/hub/", "opensuse/leap:16.0", "mirror.example/hub/opensuse/leap:16.0"},
		{"", "registry.example/owner/name:9", "registry.example/owner/name:9"},
		{"127.0.0.1:5000", "registry.example/owner/name:9", "127.0.0.1:5000/registry.example/owner/name:9"},
	} {
		t.Setenv(Variable, test.registry)
		recipe := matrix.Image{Reference: test.reference}
		if got := Of(recipe, "amd64").Source(); got != test.want {
			t.Errorf("%s of %q: %s, want %s", test.reference, test.registry, got, test.want)
		}
		if err := recipe.Validate(); err != nil {
			t.Error(err)
		}
		recipe.Digest = "sha256:" + strings.Repeat("a", 64)
		want := test.want[:strings.LastIndex(test.want, ":")] + "@" + recipe.Digest
		if got := Of(recipe, "amd64").Source(); got != want || recipe.Validate() != nil {
			t.Errorf("%s of %q, pinned: %s, want %s", test.reference, test.registry, got, want)
		}
	}
}

func TestIsMissing(t *testing.T) {
	for said, want := range map[string]bool{
		"manifest for 127.0.0.1:5000/x:1 not found: manifest unknown: Unknown manifest":                            true,
		"pull access denied for x, repository does not exist or may require 'docker login'":                        true,
		`Get "https://registry.example/v2/": dial tcp: lookup registry.example: no such host`:                      false,
		`Get "http://127.0.0.1:1/v2/": dial tcp 127.0.0.1:1: connect: connection refused`:                          false,
		"net/http: request canceled while waiting for connection (Client.Timeout exceeded while awaiting headers)": false,
		"toomanyrequests: You have reached your pull rate limit":                                                   false,
	} {
		if got := isMissing(&run.Error{Stderr: "Using default tag\nError response from daemon: " + said}); got != want {
			t.Errorf("%s: %t, want %t", said, got, want)
		}
	}
}

// TestBusy: a registry that has no time is asked again, after pauses; one that does
// not have the image, or is not there, is not.
func TestBusy(t *testing.T) {
	driver := &container.Driver{Pauses: []time.Duration{time.Millisecond, time.Millisecond}}
	const limit = "toomanyrequests: You have reached your unauthenticated pull rate limit"
	for name, c := range map[string]struct {
		says  string // before the third time
		times int
		skip  bool
		want  string
	}{
		"busy twice":  {limit, 3, false, ""},
		"busy always": {limit + " and again", 3, true, "toomanyrequests"},
		"not there":   {"manifest unknown", 1, false, "the registry has no "},
		"no registry": {"dial tcp 127.0.0.1:1: connect: connection refused", 1, true, "connection refused"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			script := "#!/bin/sh\necho x >>" + dir + "/asked\n[ \"$(wc -l <" + dir + "/asked)\" -lt 3 ] || [ '" + c.says + "' != '" + limit + "' ] || exit 0\necho '" + c.says + "' >&2\nexit 1\n"
			if err := os.WriteFile(filepath.Join(dir, "docker"), []byte(script), 0o700); err != nil { //nolint:gosec // a program
				t.Fatal(err)
			}
			t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
			err := new(Client).Pull(t.Context(), driver, Image{Reference: "debian:12", Arch: "amd64"})
			if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) || errors.Is(err, container.ErrSkip) != c.skip {
				t.Errorf("%v, want %q", err, c.want)
			}
			asked, _ := os.ReadFile(filepath.Join(dir, "asked"))
			if times := strings.Count(string(asked), "x"); times != c.times {
				t.Errorf("asked %d times, want %d", times, c.times)
			}
		})
	}
}
