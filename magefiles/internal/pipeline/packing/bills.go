package packing

import (
	"fmt"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/artifact"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pipeline/contents"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/provenance"
)

// linked is what all programs of a tree have in common, for their bills of
// materials.
type linked struct {
	sums    map[string]string
	carried []provenance.Carried
}

func (p Packer) linked() (l linked, err error) {
	if l.sums, err = provenance.GoSums(p.Tree.Dir); err != nil {
		return linked{}, err
	}
	sqlite, ok, err := provenance.SQLite(p.Tree.Dir)
	if ok {
		l.carried = []provenance.Carried{sqlite}
	}
	return l, err
}

// bills writes the bills of materials of package files, in both forms.
func (p Packer) bills(items []contents.File, files []artifact.File) ([]artifact.File, error) {
	linked, err := p.linked()
	if err != nil {
		return nil, err
	}
	var bills []artifact.File
	for i, want := range items {
		bill := p.bill(want, files[i], linked)
		for _, form := range []struct {
			ending string
			write  func() ([]byte, error)
		}{{artifact.CycloneDX, bill.CycloneDX}, {artifact.SPDX, bill.SPDX}} {
			content, err := form.write()
			if err != nil {
				return nil, fmt.Errorf("listing what is in %s: %w", files[i].Name(), err)
			}
			file, err := artifact.Keep(files[i].Path+form.ending, content)
			if err != nil {
				return nil, err
			}
			bills = append(bills, file)
		}
	}
	return bills, nil
}

// bill is what is said of a package file.
func (p Packer) bill(want contents.File, file artifact.File, l linked) provenance.Package {
	item := want.Item
	said := provenance.Package{
		Type: want.Format.PURL, File: file.Name(), Name: item.Package.Name,
		Version: fmt.Sprintf("%s-%d", p.Tree.FullVersion(), item.Source.Release), Arch: want.Format.Architecture(item.Binary.Arch),
		Vendor: item.Source.Vendor, Summary: item.Package.Summary, Description: item.Package.Description,
		Homepage: item.Source.Homepage, License: item.License, Time: p.Tree.Time,
	}
	if item.Package.HasProgram() {
		said.Program = &provenance.Program{
			Installed: item.Package.Program(), Binary: item.Binary, Tree: p.Tree,
			Repository: item.Source.Repository, Sums: l.sums, Licenses: want.Licenses, Carried: l.carried,
		}
	}
	return said
}
