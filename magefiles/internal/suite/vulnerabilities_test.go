package suite

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/artifact"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pipeline"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/run"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/tool"
)

// A deb whose program links a module that a made-up database knows something of.
// Not this test itself: a test's program does not say what it links.
func TestVulnerabilities(t *testing.T) {
	if err := tool.Need("dpkg-deb"); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	program := filepath.Join(dir, "linked")
	if err := run.New("go", "build", "-o", program, "./testdata/linked").Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	root := filepath.Join(dir, "root")
	if err := os.MkdirAll(filepath.Join(root, "usr", "bin"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(root, "DEBIAN"), 0o755); err != nil {
		t.Fatal(err)
	}
	control := "Package: demo\nVersion: 1\nArchitecture: all\nMaintainer: x <x@example.org>\nDescription: x\n"
	if err := os.WriteFile(filepath.Join(root, "DEBIAN", "control"), []byte(control), 0o644); err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(program)
	if err == nil {
		err = os.WriteFile(filepath.Join(root, "usr", "bin", "demo"), content, 0o755)
	}
	if err != nil {
		t.Fatal(err)
	}
	deb := filepath.Join(dir, "demo_1_all.deb")
	if err := run.New("dpkg-deb", "-Znone", "--build", root, deb).Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	known, err := filepath.Abs(filepath.Join("testdata", "vulnerabilities"))
	if err != nil {
		t.Fatal(err)
	}
	clean := t.TempDir()
	if err := os.CopyFS(clean, os.DirFS(known)); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(clean, "index", "modules.json"), []byte("[]"), 0o644); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		database string
		want     []string // nil: nothing is found
	}{
		"linked":       {"file://" + known, []string{"GO-2026-0001: golang.org/x/mod v", "fixed in v0.99.0"}},
		"not linked":   {"file://" + clean, nil},
		"out of reach": {"http://127.0.0.1:1", []string{"nothing is known of demo_1_all, which is no pass"}},
	} {
		t.Run(name, func(t *testing.T) {
			s := Suite{Root: "../../..", Pipeline: pipeline.Pipeline{Dist: artifact.Dist(t.TempDir())}}
			err := s.vulnerable(t.Context(), deb, test.database)
			if (err == nil) != (test.want == nil) {
				t.Fatalf("error %v", err)
			}
			for _, word := range test.want {
				if !strings.Contains(err.Error(), word) {
					t.Errorf("the error does not say %q: %v", word, err)
				}
			}
			if err != nil && strings.Contains(err.Error(), "GO-2026-0002") {
				t.Errorf("it finds what is not linked: %v", err)
			}
			vex, err := os.ReadFile(filepath.Join(string(s.Pipeline.Dist), "vulnerabilities", "demo_1_all.openvex.json"))
			if (err == nil) == (name == "out of reach") || err == nil && !strings.Contains(string(vex), "openvex") {
				t.Errorf("the VEX is %s, %v", vex, err)
			}
		})
	}
}

func TestFindings(t *testing.T) {
	said := `{"config":{}}{"finding":{"osv":"GO-1","fixed_version":"v2","trace":[{"module":"m","version":"v1"}]}}
{"finding":{"osv":"GO-1","fixed_version":"v2","trace":[{"module":"m","version":"v1","package":"m/p","function":"F"}]}}
{"finding":{"osv":"GO-2","trace":[{"module":"stdlib","version":"v1.26.8"}]}}`
	err := findings(said)
	if want := "GO-1: m v1, m/p, F, fixed in v2\nGO-2: stdlib v1.26.8"; err == nil || err.Error() != want {
		t.Errorf("got %v", err)
	}
	if err := findings(`{"config":{}}`); err != nil {
		t.Error(err)
	}
	if err := findings("no JSON"); err == nil {
		t.Error("no error")
	}
}
