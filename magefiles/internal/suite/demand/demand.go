// Package demand is what others ask of this project before they take it over, and where a
// program finds that it is done.
package demand

import (
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pkgdef"
)

// folder has the lists, a file each; its README says what the keys are.
const folder = "tests/demands"

// List is what one organisation asks for.
type List struct {
	Title  string `yaml:"title"`
	Source string `yaml:"source"` // the address where it asks
	Rows   []Row  `yaml:"rows"`
}

// Row is one demand.
type Row struct {
	Demand string `yaml:"demand"`
	// Step is of the list's own order, such as a level of maturity; it may be empty.
	Step string `yaml:"step"`
	// Answer is what to tell whoever asks, where that is more than a place; it may be empty.
	Answer   string     `yaml:"answer"`
	Evidence []Evidence `yaml:"evidence"`
	// Person is why no program can say that the demand is met; empty where one can.
	Person string `yaml:"person"`
	// Until is the evidence that a person has done it; where there is none, no program
	// ever sees that.
	Until []Evidence `yaml:"until"`
}

// Evidence is one thing that a program looks for in a checkout: either of files, or of
// one of the other two.
type Evidence struct {
	// Files is a path, or a pattern of paths as fs.Glob has it. One has to be there; each
	// of them has what Has says, and nothing of what Lacks says.
	Files string    `yaml:"files"`
	Has   []Pattern `yaml:"has"`
	Lacks []Pattern `yaml:"lacks"`
	// SignedAfter is a commit, of 40 hex digits: those after it are signed off.
	SignedAfter string `yaml:"signed-after"`
	// NoneTracked is a kind of file of which git tracks none: programs, or private keys.
	NoneTracked string `yaml:"none-tracked"`
}

// Pattern is a regular expression, as Go has them.
type Pattern struct{ *regexp.Regexp }

// UnmarshalYAML compiles it.
func (p *Pattern) UnmarshalYAML(node *yaml.Node) (err error) {
	if p.Regexp, err = regexp.Compile(node.Value); err != nil {
		return fmt.Errorf("line %d: %w", node.Line, err)
	}
	return nil
}

// Load reads the lists of the checkout in a folder, in the order of their files' names.
func Load(root string) ([]List, error) {
	files, err := filepath.Glob(filepath.Join(root, folder, "*.yaml"))
	if err == nil && len(files) == 0 {
		err = errors.New("there is no list in " + folder)
	}
	var lists []List
	for _, file := range files {
		var list List
		wrong := pkgdef.Decode(file, &list)
		if wrong == nil {
			wrong = list.validate(file)
		}
		lists, err = append(lists, list), errors.Join(err, wrong)
	}
	if err != nil {
		return nil, fmt.Errorf("reading what is asked for: %w", err)
	}
	return lists, nil
}

func (l List) validate(file string) error {
	var errs []error
	if l.Title == "" || !strings.HasPrefix(l.Source, "https://") || len(l.Rows) == 0 {
		errs = append(errs, fmt.Errorf("%s: it has no title, no source of the form https://..., or no row", file))
	}
	seen := map[[2]string]bool{}
	for i, row := range l.Rows {
		err := row.validate()
		key := [2]string{row.Step, row.Demand}
		if err == nil && seen[key] {
			err = errors.New("it is there twice")
		}
		seen[key] = true
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: row %d (%s): %w", file, i+1, row.Demand, err))
		}
	}
	return errors.Join(errs...)
}

func (r Row) validate() error {
	switch {
	case r.Demand == "":
		return errors.New("it demands nothing")
	case len(r.Evidence) == 0 && r.Person == "":
		return errors.New("it has neither evidence nor a person with a reason")
	case len(r.Until) > 0 && r.Person == "":
		return errors.New("until is for what a person does, and there is no person")
	}
	var errs []error
	for _, evidence := range slices.Concat(r.Evidence, r.Until) {
		errs = append(errs, evidence.validate())
	}
	return errors.Join(errs...)
}

var commitForm = regexp.MustCompile(`^[0-9a-f]{40}$`)

func (e Evidence) validate() error {
	kinds := 0
	for _, given := range []bool{e.Files != "", e.SignedAfter != "", e.NoneTracked != ""} {
		if given {
			kinds++
		}
	}
	matchesAll := func(p Pattern) bool { return p.String() == "" }
	switch {
	case kinds != 1:
		return errors.New("evidence is one of files, signed-after and none-tracked")
	case e.Files == "" && len(e.Has)+len(e.Lacks) > 0:
		return errors.New("has and lacks are of files")
	case slices.ContainsFunc(slices.Concat(e.Has, e.Lacks), matchesAll):
		return errors.New("an empty pattern says nothing")
	case e.SignedAfter != "" && !commitForm.MatchString(e.SignedAfter):
		return fmt.Errorf("signed-after: %q is no commit of 40 hex digits", e.SignedAfter)
	case e.NoneTracked != "" && untracked[e.NoneTracked] == nil:
		return fmt.Errorf("none-tracked: %q is neither programs nor private keys", e.NoneTracked)
	}
	return nil
}
