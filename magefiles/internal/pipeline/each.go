package pipeline

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/mod/modfile"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pkgdef"
)

// Each gives the options for each source that is asked for: the named one; the one of a
// local directory, by its go.mod; those of named packages; the main one, where a version
// is asked for; else all that do not wait.
func (p Pipeline) Each(o Options) ([]Options, error) {
	sources, err := pkgdef.Sources(p.Root)
	if err != nil {
		return nil, err
	}
	switch {
	case o.Source != "":
		_, err := p.Source(o.Source)
		return []Options{o}, err
	case o.Dir != "":
		o.Source, err = ofDirectory(sources, o.Dir)
		return []Options{o}, err
	case len(o.Packages) > 0:
		return p.ofPackages(sources, o)
	case o.Version != "":
		o.Source = sources[0].Name
		return []Options{o}, nil
	}
	var each []Options
	for _, source := range pkgdef.Ready(sources) {
		o.Source = source.Name
		each = append(each, o)
	}
	return each, nil
}

// Waiting are the sources that Each leaves out where nobody asks for one.
func (p Pipeline) Waiting() ([]pkgdef.Source, error) {
	sources, err := pkgdef.Sources(p.Root)
	return pkgdef.Waiting(sources), err
}

// ForEach does something for each source that is asked for. One that fails keeps none of
// the others back.
func (p Pipeline) ForEach(o Options, do func(Options) error) error {
	all, err := p.Each(o)
	for _, one := range all {
		err = errors.Join(err, do(one))
	}
	return err
}

// ofDirectory is the source whose module is in a directory.
func ofDirectory(sources []pkgdef.Source, dir string) (string, error) {
	content, err := os.ReadFile(filepath.Join(dir, "go.mod"))
	if err != nil {
		return "", fmt.Errorf("finding out which source is in %s: %w", dir, err)
	}
	module := modfile.ModulePath(content)
	for _, source := range sources {
		if source.Module == module {
			return source.Name, nil
		}
	}
	return "", fmt.Errorf("%s is the module %q, of which srpm/ has no source", dir, module)
}

// ofPackages are the options for the sources of the packages that are asked for.
func (p Pipeline) ofPackages(sources []pkgdef.Source, o Options) ([]Options, error) {
	asked := o.Packages
	var each []Options
	var known []string
	for _, source := range sources {
		packages, err := p.Packages(source)
		if err != nil {
			return nil, err
		}
		o.Source, o.Packages = source.Name, nil
		for _, one := range packages {
			known = append(known, one.Name)
			if slices.Contains(asked, one.Name) {
				o.Packages = append(o.Packages, one.Name)
			}
		}
		if len(o.Packages) > 0 {
			each = append(each, o)
		}
	}
	for _, name := range asked {
		if !slices.Contains(known, name) {
			return nil, fmt.Errorf("there is no package %q: there are %s", name, strings.Join(known, ", "))
		}
	}
	return each, nil
}
