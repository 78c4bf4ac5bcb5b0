//go:build mage

package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/hub/hubtest"
)

func TestAdoptRefused(t *testing.T) {
	t.Chdir("..")
	yes, version, name := true, "1.15.3", "no repository"
	for want, c := range map[string]struct {
		token, repository string
		pull              *bool
	}{
		"no pull request can be opened without a token": {"", "o/r", &yes},
		"owner/name": {hubtest.Token, name, &yes},
	} {
		s := hubtest.New(t)
		for _, line := range append(s.Environ(), "GITHUB_TOKEN="+c.token, "GITHUB_REPOSITORY="+c.repository) {
			variable, value, _ := strings.Cut(line, "=")
			t.Setenv(variable, value)
		}
		if err := (Source{}).Adopt(t.Context(), &version, nil, nil, c.pull); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("the error lacks %q: %v", want, err)
		}
	}
}

// Who has judged some of it, and not all, can ask what is left.
func TestAdoptAgain(t *testing.T) {
	root := t.TempDir()
	for _, folder := range []string{"packages", "units", "srpm"} {
		if err := os.CopyFS(filepath.Join(root, folder), os.DirFS(filepath.Join("..", folder))); err != nil {
			t.Fatal(err)
		}
	}
	t.Chdir(root)
	file, err := os.OpenFile("srpm/spire/source.yaml", os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := file.WriteString("  - module: example.org/x\n    reason: \"\"\n"); err != nil {
		t.Fatal(err)
	}
	version := "x"
	if err := (Source{}).Adopt(t.Context(), &version, nil, nil, nil); err == nil || !strings.Contains(err.Error(), `adopting x: version "x"`) {
		t.Errorf("it does not come as far as the version: %v", err)
	}
}

// No version that fails keeps another one from going on; and that it failed is said.
func TestAdoptFails(t *testing.T) {
	s := hubtest.New(t)
	for _, line := range append(s.Environ(), "GITHUB_REPOSITORY=o/r", "GOPROXY=off", "GOMODCACHE="+t.TempDir()) {
		variable, value, _ := strings.Cut(line, "=")
		t.Setenv(variable, value)
	}
	t.Chdir("..")
	versions := "1.15.3,x"
	err := Source{}.Adopt(t.Context(), &versions, nil, nil, nil)
	for _, want := range []string{"adopting 1.15.3: ", `adopting x: version "x"`} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("the error lacks %q: %v", want, err)
		}
	}
}
