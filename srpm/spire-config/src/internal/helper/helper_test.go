package helper

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/spiffe-experimental/spire-config/internal/testbed"
)

func TestAdd(t *testing.T) {
	for name, test := range map[string]struct {
		asked  Add
		before string
		config string
		dropIn string
		errors string
	}{
		"as the package has it": {
			asked:  Add{Name: "web"},
			config: strings.ReplaceAll(packaged, "NAME", "web"),
		},
		"another user": {
			asked:  Add{Name: "web", User: "daemon"},
			config: strings.ReplaceAll(packaged, "NAME", "web"),
			dropIn: "# By spire-config helper add.\n[Service]\nUser=daemon\nGroup=daemon\n",
		},
		"a group that reads": {
			asked:  Add{Name: "web", Group: "daemon"},
			config: strings.Replace(strings.ReplaceAll(packaged, "NAME", "web"), "0600", "0640", 1),
			dropIn: "# By spire-config helper add.\n[Service]\nGroup=daemon\nStateDirectoryMode=0750\nUMask=0027\n",
		},
		"one that is there": {
			asked:  Add{Name: "web"},
			before: "# mine\nagent_address = \"/elsewhere\"\ncmd = \"x\"\n",
			config: "# mine\nagent_address = \"/run/spire/agent/public/api.sock\"\ncmd = \"x\"\n",
		},
		"no such user":  {asked: Add{Name: "web", User: "nobody-of-that-name"}, errors: "there is no user"},
		"no such group": {asked: Add{Name: "web", Group: "nobody-of-that-name"}, errors: "there is no group"},
		"a path":        {asked: Add{Name: "../x"}, errors: "want letters"},
	} {
		t.Run(name, func(t *testing.T) {
			bed := testbed.New(t)
			if test.before != "" {
				bed.Write(bed.HelperConfig("web"), 0o644, test.before)
			}
			if err := test.asked.Run(t.Context(), bed.Machine); (err == nil) != (test.errors == "") || err != nil && !strings.Contains(err.Error(), test.errors) {
				t.Fatalf("error %v, want %q", err, test.errors)
			} else if err != nil {
				return
			}
			got := strings.ReplaceAll(bed.Read(bed.HelperConfig("web")), bed.Path("/run"), "/run")
			if diff := cmp.Diff(test.config, got); diff != "" {
				t.Error(diff)
			}
			if diff := cmp.Diff(test.dropIn, dropIns(t, bed)); diff != "" {
				t.Error(diff)
			}
			twice(t, bed, test.asked)
		})
	}
}

func dropIns(t *testing.T, bed *testbed.Bed) string {
	t.Helper()
	files, err := filepath.Glob(bed.DropIn("spiffe-helper@web.service", "*"))
	if err != nil || len(files) == 0 {
		return ""
	}
	return bed.Read(files[0])
}

func twice(t *testing.T, bed *testbed.Bed, asked Add) {
	t.Helper()
	before := bed.Snapshot()
	bed.Out.Reset()
	if err := asked.Run(t.Context(), bed.Machine); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(before, bed.Snapshot()); diff != "" || !strings.Contains(bed.Out.String(), "nothing to change") {
		t.Errorf("twice is not once: %s %s", diff, bed.Out)
	}
}

// TestAsThePackage compares with the example that the package spiffe-helper has, where
// that is at hand.
func TestAsThePackage(t *testing.T) {
	example, err := os.ReadFile("../hcledit/testdata/packaged-helper.conf")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(settings(string(example)), settings(packaged)); diff != "" {
		t.Error(diff)
	}
}

func settings(text string) []string {
	var lines []string
	for line := range strings.Lines(text) {
		if strings.Contains(line, " = ") && line[0] != '#' {
			lines = append(lines, line)
		}
	}
	return lines
}
