// Package licensing finds the licenses of a version of a source: of what its programs
// link, of what its source packages carry, and those that nobody has looked at.
package licensing

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/artifact"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/license"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pkgdef"
)

// Version is a version of a source.
type Version struct {
	Source pkgdef.Source
	Tree   artifact.Tree
}

// Upstream says whose licenses they are, for license.Set.DEP5.
func (v Version) Upstream() license.Upstream {
	return license.Upstream{Name: v.Source.Name, Source: v.Source.Repository}
}

// Linked finds the licenses of all that is in a program: its modules, which it also
// gives as path@version, and libraries.
func (v Version) Linked(program string, libraries []pkgdef.Library) (set license.Set, names []string, err error) {
	_, modules, err := license.Linked(program)
	if err != nil {
		return license.Set{}, nil, err
	}
	for _, module := range modules {
		names = append(names, module.Path+"@"+module.Version)
	}
	set, err = v.scan(modules, libraries, false)
	return set, names, err
}

// Own finds the licenses of upstream's own files, and of the packaging's that a package
// has as libraries.
func (v Version) Own(libraries []pkgdef.Library) (license.Set, error) {
	return v.scan(nil, libraries, false)
}

// Carried finds the licenses of all that the source packages carry, linked or not;
// libraries are those whose source is in the tree.
func (v Version) Carried(libraries []pkgdef.Library) (license.Set, error) {
	modules, err := license.Vendored(v.Tree.Dir)
	if err != nil {
		return license.Set{}, err
	}
	return v.scan(modules, libraries, true)
}

// Unjudged are the licenses, of all that the packages carry and their programs link,
// which nobody has looked at. linked are the paths of the modules that are linked.
func (v Version) Unjudged(packages []pkgdef.Package, linked []string) ([]*license.Error, error) {
	modules, err := license.Vendored(v.Tree.Dir)
	if err != nil {
		return nil, err
	}
	_, carries := v.scan(modules, InTree(packages), true)
	modules = slices.DeleteFunc(modules, func(m license.Module) bool { return !slices.Contains(linked, m.Path) })
	_, links := v.scan(modules, libraries(packages), false)
	return license.Undecided(carries, links)
}

// InTree are the packages' libraries whose source is in the tree, each once.
func InTree(packages []pkgdef.Package) []pkgdef.Library {
	return slices.DeleteFunc(libraries(packages), func(l pkgdef.Library) bool { return l.Place == "" })
}

// libraries are those of the packages, each once.
func libraries(packages []pkgdef.Package) (all []pkgdef.Library) {
	for _, p := range packages {
		for _, library := range p.Libraries {
			if !slices.Contains(all, library) {
				all = append(all, library)
			}
		}
	}
	return all
}

// scan finds the licenses of upstream, the given modules and libraries, which
// are linked or only carried.
func (v Version) scan(modules []license.Module, libraries []pkgdef.Library, carried bool) (license.Set, error) {
	main := license.Module{Path: v.Tree.Module, Version: "v" + v.Tree.Version}
	extra, err := v.components(libraries)
	if err != nil {
		return license.Set{}, err
	}
	allow := make([]license.Allowance, 0, len(v.Source.Allow))
	for _, allowance := range v.Source.Allow {
		allow = append(allow, license.Allowance(allowance))
	}
	return license.Scan(license.Request{Tree: v.Tree.Dir, Main: main, Modules: modules, Extra: extra, Allow: allow, Carried: carried})
}

// components are the parts that are no Go modules.
func (v Version) components(libraries []pkgdef.Library) ([]license.Component, error) {
	components := []license.Component{}
	for _, library := range libraries {
		path := v.Source.LicenseFile(library.Name)
		text, err := os.ReadFile(path)
		if err != nil {
			return nil, fmt.Errorf("reading the license of %s: %w", library.Name, err)
		}
		components = append(components, license.Component{
			Name: library.Name, Place: library.Place,
			Files: []license.File{{Name: filepath.Base(path), Text: string(text)}},
		})
	}
	return components, nil
}
