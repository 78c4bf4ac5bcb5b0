// Package publication makes a repository of what is released: packages with its keys and
// address, its front page, its tree of files.
package publication

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/repo/index"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/repo/ledger"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/artifact"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/format"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/frontpage"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pkgdef"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/repo"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/sign"
)

// Archive is a repository of packages: where it is, and on whose word.
type Archive struct {
	Dir string // the tree's root
	URL string // where it will be served, without a slash at the end
	// Signer signs what is published.
	Signer *sign.Signer
	// Certificates are all that clients shall trust, the signer's first.
	Certificates []sign.Certificate
	Now          time.Time // of the publication
	Refresh      bool      // sign the indexes again though nothing is new
	Everything   bool      // give nothing up, from now on
	Home         Place     // where it is kept, if that is more than a web host

	Sources  []pkgdef.Source  // of which packages are published, the main one first
	Packages []pkgdef.Package // of all sources
	Keyrings []pkgdef.Keyring // packages that bring the certificates and the address
	Log      io.Writer
	// Tested is what was seen of versions since the last publication; Places are where they
	// are tested; Accepted are known vulnerabilities that are shipped.
	Tested   []ledger.Tested
	Places   []frontpage.Place
	Accepted []frontpage.Accepted
	// Assessed and Attested are what databases and Rebuilders say of versions, as far as it is
	// new.
	Assessed   []ledger.Assessed
	Attested   []ledger.Attested
	Rebuilders []Rebuilder
}

// Names of the certificates at the repository's root: all that are trusted.
const (
	KeysArmoured = "spire-archive-keyring.asc"
	keysBinary   = "spire-archive-keyring.gpg"
)

// certificates are those that clients shall trust, as the indexes have them.
func (a Archive) certificates() (all []index.Certificate) {
	for _, certificate := range a.Certificates {
		all = append(all, index.Certificate{Fingerprint: certificate.Fingerprint(), Armoured: sign.Armoured(certificate), Raw: certificate.RawKeys()})
	}
	return all
}

func (a Archive) keys() pkgdef.Certificates {
	raw := map[string][]byte{}
	for _, certificate := range a.Certificates {
		maps.Copy(raw, certificate.RawKeys())
	}
	return pkgdef.Certificates{Binary: sign.Binary(a.Certificates...), Armoured: sign.Armoured(a.Certificates...), Raw: raw}
}

// Publish adds signed files to the repository, or makes it, with the packages that have
// its keys and address, and its front page.
func (a Archive) Publish(ctx context.Context, files []string) (repo.Report, error) {
	scratch, err := os.MkdirTemp("", "spire-packages-keyring-")
	if err != nil {
		return repo.Report{}, fmt.Errorf("making a folder for the keyring packages: %w", err)
	}
	defer os.RemoveAll(scratch)
	keyrings, err := a.keyrings(ctx, scratch)
	if err != nil {
		return repo.Report{}, err
	}
	tree, err := a.tree()
	if err != nil {
		return repo.Report{}, err
	}
	return tree.Publish(ctx, repo.Publication{
		Files: slices.Concat(files, keyrings), Now: a.Now, Refresh: a.Refresh,
		Tested: a.Tested, Assessed: a.Assessed, Attested: a.Attested,
		Pages: func(ctx context.Context, l ledger.Ledger) (map[string][]byte, error) {
			return a.pages(ctx, l, string(tree.Keys[aptEntry]))
		},
	})
}

// names are those of all that is published.
func (a Archive) names() (names []string) {
	for _, one := range a.Sources {
		names = append(names, one.Name)
	}
	for _, one := range a.Packages {
		names = append(names, one.Name)
	}
	for _, one := range a.Keyrings {
		names = append(names, one.Name)
	}
	return names
}

// notices are what versions of all sources mend. They are never nil: apt's entry names the
// suite that has them.
func (a Archive) notices() []pkgdef.Notice {
	all := []pkgdef.Notice{}
	for _, one := range a.Sources {
		all = append(all, one.Notices...)
	}
	return all
}

// tree is the archive as a tree of files, of which the main source has the name.
func (a Archive) tree() (repo.Repository, error) {
	entries, err := a.entries()
	if err != nil {
		return repo.Repository{}, err
	}
	entries[KeysArmoured], entries[keysBinary] = a.keys().Armoured, a.keys().Binary
	main := a.Sources[0]
	return repo.Repository{
		Dir: a.Dir, URL: a.URL, Everything: a.Everything, Origin: pkgdef.Origin, Description: "Packages of " + main.Title + ", the " + main.Summary,
		Source: main.Name, Public: pkgdef.PublicLog, Signer: a.Signer.At(a.Now), Trusted: a.trusted(),
		Names: a.names(), Notices: a.notices(), Log: a.Log, Certificates: a.certificates(),
		Keys: entries,
	}, nil
}

// trusted are the keys whose signatures are believed.
func (a Archive) trusted() sign.Keyring { return sign.NewKeyring(a.Certificates...) }

// keyrings makes the keyring packages in dir.
func (a Archive) keyrings(ctx context.Context, dir string) ([]string, error) {
	var files []string
	for _, definition := range a.Keyrings {
		file, err := a.keyring(ctx, definition, filepath.Join(dir, definition.Name))
		if err != nil {
			return nil, fmt.Errorf("making %s: %w", definition.Name, err)
		}
		files = append(files, file)
	}
	return files, nil
}

func (a Archive) keyring(ctx context.Context, k pkgdef.Keyring, dir string) (string, error) {
	item, err := format.Keyring(k, a.Sources[0], a.URL, a.keys(), filepath.Join(dir, "payload"))
	if err != nil {
		return "", err
	}
	form, err := format.Find(k.Format)
	if err != nil {
		return "", err
	}
	name, err := form.FileName(item)
	if err != nil {
		return "", err
	}
	scratch, file := filepath.Join(dir, "scratch"), filepath.Join(dir, name)
	if err := os.MkdirAll(scratch, 0o755); err != nil {
		return "", err
	}
	err = artifact.Write(file, 0o644, func(w io.Writer) error { return form.Write(w, item, scratch) })
	how, has := format.Signed(name)
	if err != nil || !has {
		return file, err
	}
	return file, how.Sign(ctx, a.Signer.At(k.Time()), file, file) // not before the key: see At
}

// aptEntry is the file that tells apt of the repository.
const aptEntry = "spire.sources"

// entries are the files at the root that tell clients of the repository, as the packages
// with the keys have them, by the names in their folders.
func (a Archive) entries() (map[string][]byte, error) {
	entries := map[string][]byte{}
	for _, definition := range a.Keyrings {
		texts, err := definition.Texts(a.URL, a.keys())
		if err != nil {
			return nil, err
		}
		for _, config := range definition.Config {
			entries[config.File] = texts[config.Path]
		}
	}
	if entries[aptEntry] == nil {
		return nil, errors.New("no package of packages/ has an entry for apt: " + aptEntry)
	}
	return entries, nil
}
