package workflow

import (
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/matrix"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/suite/suitetest"
)

// copied is the part of a checkout that faults are planted in.
func copied(t *testing.T) string {
	t.Helper()
	to := t.TempDir()
	for _, dir := range []string{".github", "tests"} {
		if err := os.CopyFS(filepath.Join(to, dir), os.DirFS(filepath.Join(suitetest.Root, dir))); err != nil {
			t.Fatal(err)
		}
	}
	return to
}

// What is left are the rows of the run, as they are, on this machine's architecture;
// one has a suite's packages in mind, and one an rpm's.
func TestFewerRows(t *testing.T) {
	root := copied(t)
	if err := fewerRows(root); err != nil {
		t.Fatal(err)
	}
	all, err := matrix.Load(filepath.Join(suitetest.Root, "tests", "distros.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	rows, err := matrix.Load(filepath.Join(root, "tests", "distros.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var want []matrix.Distribution
	for _, row := range all {
		if slices.Contains(hostedRows, row.Name) {
			row.Architectures = []string{runtime.GOARCH}
			want = append(want, row)
		}
	}
	if diff := cmp.Diff(want, rows); diff != "" || len(rows) != 2 || rows[0].Format == rows[1].Format {
		t.Errorf("the rows are %v (-want +got):\n%s", rows, diff)
	}
}

// Those that release, that keep the issue and that ask people, and no others.
func TestWriters(t *testing.T) {
	workflows, err := loadWorkflows(suitetest.Root)
	if err != nil {
		t.Fatal(err)
	}
	// The job version only calls the workflow whose job release writes.
	if diff := cmp.Diff([]string{"adopt", "failure-report", "release", "version"}, writers(workflows)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// Of what jobs say, that is no good sign.
func TestUnwanted(t *testing.T) {
	for line, want := range map[string]bool{
		"[version/version/build] setup: all tools are there":                             false,
		"[version/version/build] setup: installing: sudo apt-get install xz-utils":       true,
		"[version/version/vouch] setup: SPIRE_ARCH says what to build":                   true,
		"[version/version/vouch] compile amd64: unchanged":                               false,
		"[version/version/release] compile amd64: 3 packages compiled, 1s":               true,
		"[version/version/release] sign spire-agent-1.13.3-2.x86_64.rpm":                 false,
		"[publish/publish/sync] compile amd64: unchanged":                                true,
		"[version/version/test (rpm-4.20)-2] compile amd64: 3 packages compiled, 1s":     false,
		"[publish/publish/key] exec cmd=[bash -e /var/run/act/workflow/2] compile -x: y": false,
	} {
		if got := unwanted.MatchString("[a] b\n" + line + "\n[c] d"); got != want {
			t.Errorf("%q: %t, want %t", line, got, want)
		}
	}
}

// The faults can be planted in the workflows as they are.
func TestRunFaults(t *testing.T) {
	for _, fault := range runFaults {
		t.Run(fault.name, func(t *testing.T) {
			root := copied(t)
			if err := fault.plant(root); err != nil {
				t.Fatal(err)
			}
			if _, err := matrix.Load(filepath.Join(root, "tests", "distros.yaml")); err != nil {
				t.Error(err)
			}
			if _, err := loadWorkflows(root); err != nil {
				t.Error(err)
			}
		})
	}
}
