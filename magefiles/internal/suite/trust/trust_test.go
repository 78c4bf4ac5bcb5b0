package trust

import (
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/matrix"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/suite/host"
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

// A client of which nothing is played would pass.
func TestOneEach(t *testing.T) {
	rows, err := host.Rows(suitetest.Root)
	if err != nil {
		t.Fatal(err)
	}
	var places []matrix.Target
	for _, row := range rows { // as Check selects them
		if row.Tier == matrix.Blocking {
			places = append(places, matrix.Target{Distribution: row, Arch: runtime.GOARCH})
		}
	}
	clients := map[string]bool{}
	for _, place := range oneEach(places) {
		clients[place.Client()] = len(place.Plays([]string{"quick", "user"}, nil)) == 2
	}
	for _, client := range host.Clients {
		if !clients[client] {
			t.Errorf("nothing is played with %s", client)
		}
	}
}
