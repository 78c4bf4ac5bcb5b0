// Package rebuild builds the packages again from their source packages, at the places of
// tests/rebuild.yaml, which say what may come out otherwise there.
package rebuild

import (
	"errors"
	"fmt"
	"os"
	"regexp"
	"slices"
	"time"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/architecture"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/matrix"
)

// Place is one where the packages are built again from their source
// package, as a row of tests/rebuild.yaml says.
type Place struct {
	Name   string       `yaml:"name"`
	Format string       `yaml:"format"`
	Image  matrix.Image `yaml:"image"`
	// Toolchain is whose Go compiles: "ours", the one that the packages were
	// built with, or "its own", that of the distribution.
	Toolchain string      `yaml:"toolchain"`
	Tier      matrix.Tier `yaml:"tier"`
	// Differs is what may come out otherwise there.
	Differs []Tolerance `yaml:"differs"`
}

// Tolerance is an item of a package that may come out otherwise, and why.
type Tolerance struct {
	Format string `yaml:"format"`
	// Item is a regular expression for a whole item as package manifest names it.
	Item   string `yaml:"item"`
	Reason string `yaml:"reason"`

	form *regexp.Regexp
}

// The toolchains that a rebuild can have.
const (
	OurToolchain = "ours"
	OwnToolchain = "its own"
)

// Places are all of them, and what may differ at all of them.
type Places struct {
	All     []Place     `yaml:"places"`
	Differs []Tolerance `yaml:"differs"`
}

// Load reads a rebuild.yaml as strictly as matrix.Load reads its file.
func Load(path string) (Places, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return Places{}, fmt.Errorf("reading where to rebuild: %w", err)
	}
	all, err := parse(data)
	if err != nil {
		return Places{}, fmt.Errorf("reading where to rebuild of %s: %w", path, err)
	}
	return all, nil
}

func parse(data []byte) (all Places, err error) {
	if err := matrix.Decode(data, &all); err != nil {
		return all, err
	}
	var errs []error
	if len(all.All) == 0 {
		errs = append(errs, errors.New("there is no place"))
	}
	errs = append(errs, compileTolerances(all.Differs))
	for i, place := range all.All {
		if err := errors.Join(place.validate(), compileTolerances(place.Differs)); err != nil {
			errs = append(errs, fmt.Errorf("place %d (%s): %w", i+1, place.Name, err))
		}
	}
	return all, errors.Join(errs...)
}

func (p Place) validate() error {
	row := matrix.Distribution{
		Name: p.Name, Format: p.Format, Image: p.Image, Tier: p.Tier,
		Architectures: []string{architecture.Own().Go}, EndOfLife: matrix.Date{Time: time.Unix(1, 0)}, // which a place has not
	}
	err := row.Validate()
	if p.Toolchain != OurToolchain && p.Toolchain != OwnToolchain {
		err = errors.Join(err, fmt.Errorf("toolchain %q is neither %q nor %q", p.Toolchain, OurToolchain, OwnToolchain))
	}
	return err
}

func compileTolerances(list []Tolerance) error {
	var errs []error
	for i := range list {
		t := &list[i]
		var err error
		if t.form, err = regexp.Compile("^(?:" + t.Item + ")$"); err != nil {
			errs = append(errs, err)
		}
		if t.Item == "" || t.Reason == "" || !slices.Contains(matrix.Formats(), t.Format) {
			errs = append(errs, fmt.Errorf("what differs: %q needs an item, a format and a reason", t.Item))
		}
	}
	return errors.Join(errs...)
}

// Reason says why the item may differ in packages rebuilt at the place.
func (all Places) Reason(place Place, item string) (reason string, ok bool) {
	for _, t := range slices.Concat(place.Differs, all.Differs) {
		if t.Format == place.Format && t.form.MatchString(item) {
			return t.Reason, true
		}
	}
	return "", false
}
