//go:build mage

package main

import (
	"strings"
	"testing"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/hub/hubtest"
)

// What a visit takes is asked for before anything is done.
func TestPublishedFlags(t *testing.T) {
	address, key := "http://127.0.0.1:1", "no-such-file.asc"
	for _, name := range []string{"SPIRE_REPO_URL", "SPIRE_VERSION", "SPIRE_ARCH", "SPIRE_TEST_ROW"} {
		t.Setenv(name, "")
	}
	t.Chdir(t.TempDir()) // where no key is pinned
	for name, c := range map[string]struct {
		url, key *string
		want     string
	}{
		"no address": {nil, nil, "-url=https://HOST/PATH"},
		"no key":     {&address, nil, "-key=FILE"},
		"no file":    {&address, &key, key},
	} {
		err := Check{}.Published(t.Context(), c.url, nil, nil, c.key, nil, nil, nil)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

// The newest version is the one that is named, or released.
func TestNewest(t *testing.T) {
	s := hubtest.New(t)
	s.Repository("o/r")
	s.Repository("o/empty")
	for _, line := range s.Environ() {
		name, value, _ := strings.Cut(line, "=")
		t.Setenv(name, value)
	}
	for _, release := range []hubtest.Release{{Tag: "v1.13.10-1"}, {Tag: "v1.13.9-2"}, {Tag: "v1.12.9-1"}, {Tag: "v1.13.10-2"}, {Tag: "v1.14.0-1", Draft: true}, {Tag: "nightly"}} {
		s.AddRelease("o/r", release)
	}
	t.Chdir("..")
	for _, c := range []struct{ version, repository, want, err string }{
		{"", "o/r", "1.13.10-2", ""},
		{"1.13.3-7", "o/r", "1.13.3-7", ""},
		{"1.13.3", "o/r", "1.13.3-2", ""}, // of srpm/spire/source.yaml
		{"v1.13.3", "o/r", "", "-version"},
		{"1.13.3-0", "o/r", "", "-version"},
		{"", "o/empty", "", "has no release"},
		{"", "x", "", "owner/name"},
		{"", "", "", "spiffe-experimental/spire-packages"}, // which is not there
	} {
		found, err := newest(t.Context(), c.version, c.repository)
		got := found["spire"]
		if c.err == "" && (err != nil || got != c.want) || c.err != "" && (err == nil || !strings.Contains(err.Error(), c.err)) {
			t.Errorf("%q of %q: %q, %v, want %q %q", c.version, c.repository, got, err, c.want, c.err)
		}
	}
}
