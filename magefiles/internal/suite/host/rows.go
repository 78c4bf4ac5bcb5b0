package host

import (
	"context"
	"fmt"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/matrix"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/registry"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/suite/subject"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/suite/tally"
)

// The places at which faults are planted: one for each format.
const (
	Deb = "debian-12"
	RPM = "rpm-4.18"
)

// Rows are those of tests/distros.yaml in the checkout of the given folder.
func Rows(root string) ([]matrix.Distribution, error) {
	return matrix.Load(file(root))
}

func file(root string) string { return filepath.Join(root, "tests", "distros.yaml") }

// Named is a row on this machine's own architecture.
func Named(root, name string) (matrix.Target, error) {
	rows, err := Rows(root)
	if err != nil {
		return matrix.Target{}, err
	}
	i := slices.IndexFunc(rows, func(r matrix.Distribution) bool { return r.Name == name })
	if i < 0 {
		return matrix.Target{}, fmt.Errorf("tests/distros.yaml has no row %s", name)
	}
	return matrix.Target{Distribution: rows[i], Arch: runtime.GOARCH}, nil
}

// Selection narrows the rows down; what is empty takes all.
type Selection struct {
	Rows   []string // names of rows
	Arches []string // for which packages were built; Go's names
	// Blocking leaves out the rows that only inform.
	Blocking bool
}

// Select gives the rows, or those selected, on the architectures that packages
// were built for. What is left out for another reason than its name is counted.
func Select(t *tally.Tally, root string, only Selection) ([]matrix.Target, error) {
	rows, err := Rows(root)
	if err != nil {
		return nil, err
	}
	var places []matrix.Target
	missing := slices.Clone(only.Rows)
	for _, row := range rows {
		for _, arch := range row.Architectures {
			place := matrix.Target{Distribution: row, Arch: arch}
			switch {
			case len(only.Rows) > 0 && !slices.Contains(only.Rows, place.Name()):
			case only.Blocking && row.Tier == matrix.Informing:
				t.Count(place.Name(), tally.Skip("it only informs, and whoever wants to know asks test:distros -row="+place.Name()), 0)
			case slices.Contains(only.Arches, arch):
				places = append(places, place)
				missing = slices.DeleteFunc(missing, func(name string) bool { return name == place.Name() })
			default:
				t.Count(place.Name(), tally.Skip("no packages for "+arch+" were built (-arch="+strings.Join(append(slices.Clone(only.Arches), arch), ",")+" builds them)"), 0)
			}
		}
	}
	if len(missing) > 0 {
		return nil, fmt.Errorf("tests/distros.yaml has no row %s for %s", strings.Join(missing, ", "), strings.Join(only.Arches, ", "))
	}
	return places, nil
}

// Pins writes into tests/distros.yaml which images its references have now.
func Pins(ctx context.Context, c subject.Checkout) error {
	return registry.Pin(ctx, file(c.Root), c.Log)
}

// Matrix is the places of tests/distros.yaml as JSON in one line, for a workflow.
func Matrix(root string) (string, error) {
	rows, err := Rows(root)
	if err != nil {
		return "", err
	}
	jobs, err := matrix.Jobs(rows)
	return string(jobs), err
}
