package scenario

import (
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/matrix"
)

// What a script's lines say is what is left out, where it says so, and no more.
func TestLeftOut(t *testing.T) {
	h, older := emptyHost(t, io.Discard)
	h.Older = []string{older.Name()}
	newer := matrix.Target{Distribution: matrix.Distribution{Name: "debian-13"}, Arch: older.Arch}
	standIn := func(manager string) matrix.Target {
		return matrix.Target{Distribution: matrix.Distribution{Name: manager, Format: "rpm", Manager: manager, Image: matrix.Image{StandIn: true}}, Arch: older.Arch}
	}
	for line, want := range map[string]string{
		"":                                    "",
		"# The newest of a family plays it.":  "debian-12",
		"# A suite's own row plays it.":       "dnf zypper",
		"# Of the stand-ins, dnf's plays it.": "zypper",
		"# The nights play it: it is long.":   "",
		"# A suite's own row plays it too.":   "",
	} {
		write(t, filepath.Join(h.Scenarios, "a.sh"), "#!/bin/sh\n# What it is about.\n"+line+"\nset -eu\n")
		var got []string
		for _, target := range []matrix.Target{older, newer, standIn("dnf"), standIn("zypper")} {
			played, skipped, err := h.parted(target, []string{"a", "b"})
			if err != nil || len(played)+len(skipped) != 2 {
				t.Fatalf("%q: %v, %v, %v", line, played, skipped, err)
			}
			for _, result := range skipped {
				if result.Scenario != "a" || result.Status != Skipped || result.Reason == "" {
					t.Errorf("%q: %+v", line, result)
				}
				got = append(got, result.Distribution)
			}
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%q: left out at %q, want %q", line, got, want)
		}
	}
}

// What is left out is in the report, and no container begins for it.
func TestRunLeavesOut(t *testing.T) {
	h, place := emptyHost(t, io.Discard)
	h.Older = []string{place.Name()}
	for _, name := range []string{"a", "b"} {
		write(t, filepath.Join(h.Scenarios, name+".sh"), newest+"\n")
	}
	t.Setenv("DOCKER_HOST", "unix:///nonexistent/docker.sock")
	report, err := h.Run(t.Context(), []matrix.Target{place}, []string{"a", "b"})
	if err != nil || len(report) != 2 || report.Count(Skipped) != 2 || !strings.Contains(report[1].Reason, "newer row") {
		t.Errorf("%+v, %v", report, err)
	}
}

// A line that is misspelled would count for nothing, in silence: whatever begins as one of
// them is one of them.
func TestTermsAreKnown(t *testing.T) {
	dir := filepath.Join("..", "..", "..", "tests", "scenarios")
	names, err := List(dir)
	if err != nil {
		t.Fatal(err)
	}
	said := regexp.MustCompile(`(?m)^# .*\bplays? it\b.*$`)
	found := 0
	for _, name := range names {
		script, err := os.ReadFile(filepath.Join(dir, name+".sh"))
		if err != nil {
			t.Fatal(err)
		}
		for _, line := range said.FindAllString(string(script), -1) {
			found++
			if !strings.HasPrefix(line, nights) && !slices.Contains([]string{newest, suite, rpm}, line) {
				t.Errorf("%s: %q is none of the lines that are known", name, line)
			}
		}
	}
	if found < 30 {
		t.Errorf("there are only %d such lines", found)
	}
}

func TestTermsOf(t *testing.T) {
	h, _ := emptyHost(t, io.Discard)
	write(t, filepath.Join(h.Scenarios, "a.sh"), nights+"it is long.\n"+suite+"\n"+rpm+"\n"+newest+"\n")
	want := Terms{Nights: "it is long", Newest: true, Suite: true, RPM: true}
	if got, err := TermsOf(h.Scenarios, "a"); err != nil || got != want {
		t.Errorf("%+v, %v", got, err)
	}
	if _, err := TermsOf(h.Scenarios, "nothing"); err == nil || !strings.Contains(err.Error(), "nothing.sh") {
		t.Errorf("a script that is not there: %v", err)
	}
}
