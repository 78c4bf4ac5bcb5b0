package stepfile

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// What others have written to the file stays before it.
func TestAdd(t *testing.T) {
	for variable, call := range map[string]func(string) error{"GITHUB_OUTPUT": SetOutputs, "GITHUB_STEP_SUMMARY": AddSummary} {
		t.Setenv(variable, "")
		if err := call("x"); err != nil {
			t.Errorf("%s, where there is no workflow: %v", variable, err)
		}
		file := filepath.Join(t.TempDir(), "file")
		t.Setenv(variable, file)
		for _, text := range []string{"a=1\n", "b=2\n"} {
			if err := call(text); err != nil {
				t.Fatal(err)
			}
		}
		if content, err := os.ReadFile(file); err != nil || string(content) != "a=1\nb=2\n" {
			t.Errorf("%s: %q, %v", variable, content, err)
		}
		t.Setenv(variable, filepath.Join(file, "below"))
		if err := call("x"); err == nil || !strings.Contains(err.Error(), variable) {
			t.Errorf("%s: the error is %v", variable, err)
		}
	}
}
