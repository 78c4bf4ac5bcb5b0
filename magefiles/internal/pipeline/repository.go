package pipeline

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/architecture"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/artifact"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/format"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/frontpage"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pkgdef"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/provenance"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/repo"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/repo/index"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/repo/ledger"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/sign"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/tool"
)

// Archive is a repository of packages: where it is, and on whose word.
type Archive struct {
	Dir string // the tree's root; empty means dist/repo
	URL string // where it will be served, without a slash at the end
	// Signer signs what is published.
	Signer *sign.Signer
	// Trusted are further certificates that clients shall trust beside the
	// signer's: those of the keys before and after it.
	Trusted []sign.Certificate
	Now     time.Time // of the publication
	Refresh bool      // sign the indexes again though nothing is new

	own *sign.Certificate // the signer's, as KeysDir has it
}

// RepositoryDir is where a repository is unless told otherwise.
func (p Pipeline) RepositoryDir() string { return filepath.Join(string(p.Dist), "repo") }

// Names of the certificates at the repository's root: all that are trusted.
const (
	KeysArmoured = "spire-archive-keyring.asc"
	keysBinary   = "spire-archive-keyring.gpg"
)

// certificates are all that clients shall trust, the signer's first.
func (a Archive) certificates() []sign.Certificate {
	all := []sign.Certificate{a.Signer.Certificate()}
	if a.own != nil {
		all[0] = *a.own
	}
	for _, certificate := range a.Trusted {
		same := func(c sign.Certificate) bool { return c.Fingerprint() == certificate.Fingerprint() }
		if !slices.ContainsFunc(all, same) {
			all = append(all, certificate)
		}
	}
	return all
}

// trusted are the certificates as the indexes have them.
func (a Archive) trusted() (all []index.Certificate) {
	for _, certificate := range a.certificates() {
		all = append(all, index.Certificate{Fingerprint: certificate.Fingerprint(), Armoured: sign.Armoured(certificate)})
	}
	return all
}

func (a Archive) keys() pkgdef.Certificates {
	all := a.certificates()
	return pkgdef.Certificates{Binary: sign.Binary(all...), Armoured: sign.Armoured(all...)}
}

// Publish adds signed files to the repository in a.Dir, or makes it, with the
// packages that have its keys and address, and its front page.
func (p Pipeline) Publish(ctx context.Context, a Archive, files []string) (repo.Report, error) {
	if err := tool.Need(repo.Tools()...); err != nil {
		return repo.Report{}, err
	}
	a, err := p.owned(a)
	if err != nil {
		return repo.Report{}, err
	}
	sources, err := pkgdef.Sources(p.Root)
	if err != nil {
		return repo.Report{}, err
	}
	keyrings, err := os.MkdirTemp("", "spire-packages-keyring-")
	if err != nil {
		return repo.Report{}, fmt.Errorf("making a folder for the keyring packages: %w", err)
	}
	defer os.RemoveAll(keyrings)
	definitions, err := pkgdef.LoadKeyrings(p.Root)
	if err != nil {
		return repo.Report{}, err
	}
	packages, err := a.keyrings(ctx, definitions, sources[0], keyrings)
	if err != nil {
		return repo.Report{}, err
	}
	entry, err := a.aptEntry(definitions)
	if err != nil {
		return repo.Report{}, err
	}
	tree := p.tree(a, sources[0])
	if tree.Names, err = p.names(sources, definitions); err != nil {
		return repo.Report{}, err
	}
	return tree.Publish(ctx, repo.Publication{
		Files: slices.Concat(files, packages), Now: a.Now, Refresh: a.Refresh,
		Page: func(l ledger.Ledger) ([]byte, error) { return a.page(l, sources, entry) },
	})
}

// names are those of all that is published.
func (p Pipeline) names(sources []pkgdef.Source, keyrings []pkgdef.Keyring) ([]string, error) {
	packages, err := pkgdef.Load(p.Root)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, one := range sources {
		names = append(names, one.Name)
	}
	for _, one := range packages {
		names = append(names, one.Name)
	}
	for _, one := range keyrings {
		names = append(names, one.Name)
	}
	return names, nil
}

// placed is the archive with a folder.
func (p Pipeline) placed(a Archive) Archive {
	if a.Dir == "" {
		a.Dir = p.RepositoryDir()
	}
	return a
}

// tree is the archive as a tree of files, with the main source.
func (p Pipeline) tree(a Archive, main pkgdef.Source) repo.Repository {
	return repo.Repository{
		Dir: a.Dir, Origin: pkgdef.Origin, Description: "Packages of " + main.Title + ", the " + main.Summary,
		Source: main.Name, Signer: a.Signer.At(a.Now), Trusted: sign.NewKeyring(a.certificates()...),
		Log: p.Log, Certificates: a.trusted(),
		Keys: map[string][]byte{KeysArmoured: a.keys().Armoured, keysBinary: a.keys().Binary},
	}
}

// PrintReport writes what a publication ends with.
func PrintReport(w io.Writer, r repo.Report) {
	for _, file := range r.Added {
		fmt.Fprintf(w, "added %s  %s\n", file.SHA256, file.Path)
	}
	for _, file := range r.Retired {
		fmt.Fprintf(w, "retired %s\n", file.Path)
	}
	if r.Unchanged {
		fmt.Fprint(w, "nothing to publish; ")
	}
	fmt.Fprintf(w, "%d files added, %d retired, indexes valid until %s\n", len(r.Added), len(r.Retired), r.Until.Format(time.RFC3339))
}

// keyrings makes the keyring packages in dir.
func (a Archive) keyrings(ctx context.Context, definitions []pkgdef.Keyring, source pkgdef.Source, dir string) ([]string, error) {
	var files []string
	for _, definition := range definitions {
		file, err := a.keyring(ctx, definition, source, filepath.Join(dir, definition.Name))
		if err != nil {
			return nil, fmt.Errorf("making %s: %w", definition.Name, err)
		}
		files = append(files, file)
	}
	return files, nil
}

func (a Archive) keyring(ctx context.Context, k pkgdef.Keyring, maker pkgdef.Source, dir string) (string, error) {
	item, err := format.Keyring(k, maker, a.URL, a.keys(), filepath.Join(dir, "payload"))
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
	if err != nil || k.Format != pkgdef.RPM {
		return file, err
	}
	return file, a.Signer.At(k.Time()).RPM(ctx, file, file) // not before the key: see At
}

// aptEntry is the file that tells apt of the repository.
func (a Archive) aptEntry(definitions []pkgdef.Keyring) (string, error) {
	for _, definition := range definitions {
		texts, err := definition.Texts(a.URL, a.keys())
		if err != nil {
			return "", err
		}
		for path, text := range texts {
			if strings.HasPrefix(path, "/etc/apt/sources.list.d/") {
				return string(text), nil
			}
		}
	}
	return "", errors.New("no package of packages/ has an entry for apt")
}

// page is the front page of what is published. entry is apt's.
func (a Archive) page(l ledger.Ledger, sources []pkgdef.Source, entry string) ([]byte, error) {
	site := frontpage.Site{
		URL: a.URL, Project: provenance.Project, Sources: entry, Main: sources[0].Name,
		Published: l.Published, Ends: l.Until,
		Keyring: []frontpage.File{a.keyFile(KeysArmoured, a.keys().Armoured), a.keyFile(keysBinary, a.keys().Binary)},
	}
	for _, certificate := range a.certificates() {
		site.Keys = append(site.Keys, frontpage.Key{Fingerprint: certificate.Fingerprint(), Ends: certificate.Ends()})
	}
	for _, file := range l.Files {
		known := slices.ContainsFunc(sources, func(s pkgdef.Source) bool { return s.Name == file.Source })
		if !known && !again(file.Path) {
			site.Keyring = append(site.Keyring, shown(file))
		}
	}
	for _, source := range sources {
		versions, err := a.versions(l, source)
		if err != nil {
			return nil, err
		}
		site.Versions = append(site.Versions, versions...)
	}
	var page bytes.Buffer
	err := frontpage.Write(&page, site)
	return page.Bytes(), err
}

// again says whether a path is in the folder of rpms for another architecture than
// the usual one: what fits every machine is in the folders of all, to be shown once.
func again(file string) bool {
	folder := path.Base(path.Dir(file))
	return folder != architecture.Usual().RPM && slices.Contains(architecture.RPM(architecture.Released()), folder)
}

func (a Archive) keyFile(name string, content []byte) frontpage.File {
	return frontpage.File{Path: name, Kind: frontpage.AsKey, SHA256: artifact.DigestBytes(content), Size: int64(len(content))}
}

func shown(f ledger.File) frontpage.File {
	return frontpage.File{Path: f.Path, Kind: frontpage.Kind(f.Kind), Package: f.Package, Arch: f.Arch, SHA256: f.SHA256, Size: f.Size}
}

// versions are those of a source, newest first.
func (a Archive) versions(l ledger.Ledger, source pkgdef.Source) ([]frontpage.Version, error) {
	var versions []frontpage.Version
	for _, file := range l.Files {
		if file.Source != source.Name || file.Kind != ledger.Sums {
			continue // each version has its checksums once
		}
		version := frontpage.Version{Title: source.Title, Upstream: source.Repository, Version: file.Version, Release: file.Release, Published: file.Published}
		if !source.Main {
			version.Source = source.Name
		}
		for _, other := range l.Files {
			same := other.Release == file.Release || other.Release == 0
			if other.Source == source.Name && other.Version == file.Version && same {
				version.Files = append(version.Files, shown(other))
			}
		}
		var err error
		if version.Commit, err = a.commit(version); err != nil {
			return nil, err
		}
		versions = append(versions, version)
	}
	slices.SortFunc(versions, func(a, b frontpage.Version) int {
		return ledger.CompareVersions(b.Version, b.Release, a.Version, a.Release)
	})
	return versions, nil
}

// commit is what a version was made from, by its published provenance.
func (a Archive) commit(version frontpage.Version) (string, error) {
	for _, file := range version.Files {
		if file.Kind != frontpage.AsProvenance {
			continue
		}
		content, err := os.ReadFile(filepath.Join(a.Dir, filepath.FromSlash(file.Path)))
		if err != nil {
			return "", fmt.Errorf("reading the provenance of %s: %w", version.Label(), err)
		}
		statement, err := provenance.ParseStatement(content)
		return statement.Commit(), err
	}
	return "", fmt.Errorf("%s was published without provenance", version.Label())
}
