// Package inventory is a version of a source with all that it consists of: its definitions,
// its tree, and the names of the files that a build makes, and that are shipped.
package inventory

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/architecture"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/artifact"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/format"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pipeline/record"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pkgdef"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/srcpkg"
)

// Version is a version of a source, and what is asked for of it.
type Version struct {
	Source   pkgdef.Source
	Packages []pkgdef.Package
	Number   string        // bare version, such as 1.13.3
	Arches   []string      // Go's names
	Formats  []string      // of packages, binary and source
	Dist     artifact.Dist // the source's
	Tree     artifact.Tree // empty before it was fetched
}

// Files are the names of a version's files, in order, made from a verified source.
type Files struct {
	Built   []string // what a build makes
	Shipped []string // what signing makes of that: the folder to release
}

// Files are the files that the version has.
func (v Version) Files() (f Files) {
	for _, name := range v.packages() {
		f.Built = append(f.Built, name)
		if _, ok := format.Of(name); ok {
			f.Built = append(f.Built, name+artifact.CycloneDX, name+artifact.SPDX)
		}
	}
	full := fmt.Sprintf("%s_%s-%d", v.Source.Name, v.Number, v.Source.Release)
	f.Shipped = []string{full + artifact.Provenance, artifact.SumsName, artifact.SumsSignature}
	for _, arch := range v.Arches {
		f.Built = append(f.Built, record.Name(v.Source, v.Number, arch))
		if slices.Contains(v.Formats, pkgdef.Deb) {
			f.Shipped = append(f.Shipped, full+"_"+architecture.Of(arch).Debian+artifact.BuildInfo)
		}
	}
	f.Shipped = append(f.Shipped, f.Built...)
	slices.Sort(f.Built)
	slices.Sort(f.Shipped)
	return f
}

// packages are the names of the packages, binary and source.
func (v Version) packages() []string {
	tree := artifact.Tree{Version: v.Number, Verified: true}
	var names []string
	for i, arch := range v.Arches {
		packages := v.Packages
		if i > 0 { // what fits every machine was with the first
			packages = pkgdef.Programs(packages)
		}
		for _, p := range packages {
			for _, f := range format.All() {
				if !slices.Contains(v.Formats, f.Name) {
					continue
				}
				item := format.Item{Source: v.Source, Package: p, Tree: tree, Binary: artifact.Binary{Arch: p.Arch(arch)}}
				if name, err := f.FileName(item); err == nil {
					names = append(names, name)
				}
			}
		}
	}
	source := srcpkg.Source{Source: v.Source, Tree: tree}
	return append(names, source.FileNames(v.Formats)...)
}

// Exactly is an error unless these are the names of all files that a build of the
// version has for the architectures, and no others.
func (v Version) Exactly(names []string) error {
	want := v.Files().Built
	var errs []error
	for _, name := range slices.Sorted(slices.Values(names)) {
		if !slices.Contains(want, name) {
			errs = append(errs, v.Surplus(name))
		}
	}
	missing := slices.DeleteFunc(want, func(name string) bool { return slices.Contains(names, name) })
	if len(missing) > 0 {
		errs = append(errs, fmt.Errorf("%s %s lacks %s", v.Source.Name, v.Number, strings.Join(missing, ", ")))
	}
	return errors.Join(errs...)
}

// Surplus is the error of a file that the version does not have.
func (v Version) Surplus(file string) error {
	return fmt.Errorf("%s is not one of the files of %s %s-%d for %s", file, v.Source.Name, v.Number, v.Source.Release, strings.Join(v.Arches, ", "))
}
