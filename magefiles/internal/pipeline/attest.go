package pipeline

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/artifact"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/attestation"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/format"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pkgdef"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/provenance"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/repo/index"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/repo/layout"
)

// Attest builds the version whose shipped files are in a folder once more, for this machine's
// architecture and from nothing that was built before, and gives what can be said of it where
// each package came out the same, to the bit: an rpm as it was before it was signed. The
// folder was verified: see Verify. name is for a file of the attestation.
func (p Pipeline) Attest(ctx context.Context, dir string) (said attestation.Link, name string, err error) {
	about, err := aboutFolder(dir)
	if err != nil {
		return said, "", err
	}
	p.Dist = artifact.Dist(filepath.Join(string(p.Dist), "rebuilt"))
	if err := os.RemoveAll(string(p.Dist)); err != nil {
		return said, "", fmt.Errorf("building again: %w", err)
	}
	built, err := p.Build(ctx, Options{Source: about.of.Package, Version: about.of.Version, Arches: []string{runtime.GOARCH}, Formats: []string{pkgdef.Deb, pkgdef.RPM}})
	if err != nil {
		return said, "", err
	}
	said = attestation.Link{Name: attestation.About(about.of.Package, about.of.Full()), Products: map[string]string{}}
	if said.Materials, err = about.materials(dir); err != nil {
		return said, "", err
	}
	said.Products, err = about.same(built.Files)
	return said, fmt.Sprintf("%s_%s_%s%s", about.of.Package, about.of.Full(), runtime.GOARCH, attestation.Suffix), err
}

// shippedFolder is what a folder with the files of a version says of itself.
type shippedFolder struct {
	provenance string     // the file's name
	of         index.Name // what that says
	statement  provenance.Statement
}

func aboutFolder(dir string) (about shippedFolder, err error) {
	files, err := filepath.Glob(filepath.Join(dir, "*"+artifact.Provenance))
	if err == nil && len(files) != 1 {
		err = fmt.Errorf("%s has %d files with provenance: give the folder of one version to attest", dir, len(files))
	}
	if err != nil {
		return about, err
	}
	content, err := os.ReadFile(files[0])
	if err != nil {
		return about, err
	}
	about.provenance = filepath.Base(files[0])
	if about.of, err = layout.Parse(about.provenance); err != nil {
		return about, err
	}
	about.statement, err = provenance.ParseStatement(content)
	return about, err
}

// materials are what was built from: the provenance names all of that.
func (f shippedFolder) materials(dir string) (map[string]string, error) {
	sum, _, err := artifact.Digest(filepath.Join(dir, f.provenance))
	return map[string]string{f.provenance: sum}, err
}

// same gives the packages with their digests if each is as it was shipped, and is otherwise an
// error that names those that are not.
func (f shippedFolder) same(built []artifact.File) (map[string]string, error) {
	want, products := f.statement.Built(), map[string]string{}
	var errs []error
	for _, file := range built {
		name := file.Name()
		if _, ok := format.Of(name); !ok {
			continue
		}
		if want[name] != file.SHA256 {
			errs = append(errs, fmt.Errorf("%s came out with the SHA-256 %s, and shipped was %q", name, file.SHA256, want[name]))
		}
		products[name] = file.SHA256
	}
	if len(products) == 0 {
		errs = append(errs, errors.New("no package was built"))
	}
	if err := errors.Join(errs...); err != nil {
		return nil, fmt.Errorf("nothing is attested of %s %s: %w (is this the commit that its provenance names as packaging?)", f.of.Package, f.of.Full(), err)
	}
	return products, nil
}
