package trust

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/suite/suitetest"
)

// A repository that is broken for nobody to look at would pass.
func TestCasesArePlayed(t *testing.T) {
	var scripts strings.Builder
	for _, pattern := range []string{"*.sh", "rpm/*.sh"} {
		files, err := filepath.Glob(filepath.Join(suitetest.Root, "tests", "trust", pattern))
		if err != nil || len(files) == 0 {
			t.Fatalf("files %v, error %v", files, err)
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			scripts.Write(text)
		}
	}
	for _, broken := range cases {
		// As a word of a list, or as what is looked at.
		word := regexp.MustCompile(`[ ='"]` + broken.name + `[ ;'"\n]`)
		if !word.MatchString(scripts.String()) {
			t.Errorf("no script of tests/trust looks at %s", broken.name)
		}
	}
}
