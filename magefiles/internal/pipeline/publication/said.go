package publication

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/attestation"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/frontpage"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pkgdef"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/provenance"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/repo/index"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/repo/layout"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/repo/ledger"
)

// Looked is what check:vulnerabilities says of each version that it looked at, in a file of
// this name; the OpenVEX documents are beside it.
const Looked = "looked.json"

// LookedAt is one version that was looked at.
type LookedAt struct {
	Source  string    `json:"source"`
	Version string    `json:"version"` // with the packaging's release
	Seen    time.Time `json:"seen"`
}

// VEXFile is the name of a version's OpenVEX document.
func (l LookedAt) VEXFile() string { return filepath.Base(layout.VEX(l.Source, l.Version)) }

// Assessments reads what check:vulnerabilities has found, in a folder; none where it was not
// run.
func Assessments(dir string, sources []pkgdef.Source) ([]ledger.Assessed, error) {
	content, err := os.ReadFile(filepath.Join(dir, Looked))
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	var looked []LookedAt
	if err == nil {
		err = json.Unmarshal(content, &looked)
	}
	var all []ledger.Assessed
	for _, one := range looked {
		if !slices.ContainsFunc(sources, func(s pkgdef.Source) bool { return s.Name == one.Source }) {
			continue
		}
		found := ledger.Assessed{Source: one.Source, Version: one.Version, Seen: one.Seen.UTC().Truncate(time.Second)}
		vex, failed := os.ReadFile(filepath.Join(dir, one.VEXFile()))
		if failed == nil {
			_, failed = provenance.ReadOpenVEX(vex)
			found.VEX = vex
		} else if errors.Is(failed, os.ErrNotExist) {
			failed = nil
		}
		err = errors.Join(err, failed)
		all = append(all, found)
	}
	if err != nil {
		return nil, fmt.Errorf("reading which vulnerabilities are known: %w", err)
	}
	return all, nil
}

// Rebuilder is somebody whose word counts that a version can be built again.
type Rebuilder struct {
	Name string
	Key  attestation.Key
}

// Rebuilders are those whose keys are in a folder, in files named after them.
func Rebuilders(dir string) ([]Rebuilder, error) {
	files, err := filepath.Glob(filepath.Join(dir, "*.pub"))
	if err != nil {
		return nil, err
	}
	var all []Rebuilder
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("reading who rebuilds: %w", err)
		}
		key, err := attestation.ParseKey(content)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		all = append(all, Rebuilder{strings.TrimSuffix(filepath.Base(file), ".pub"), key})
	}
	return all, nil
}

// Attestations reads those in a folder, each of which one of the rebuilders has signed.
func Attestations(dir string, rebuilders []Rebuilder) (all []ledger.Attested, err error) {
	parsed, contents, err := attestation.Read(dir)
	if err != nil {
		return nil, err
	}
	for name, one := range parsed {
		source, version, ok := one.Link.Of()
		if !ok {
			return nil, fmt.Errorf("%s/%s is about %.80q, and not about a version of a source", dir, name, one.Link.Name)
		}
		at := slices.IndexFunc(rebuilders, func(r Rebuilder) bool { return one.By(r.Key) == nil })
		if at < 0 {
			return nil, fmt.Errorf("%s/%s is signed by none of those whose keys are known: put theirs in packages/spire-archive-keyring/rebuilders, if their word is to count", dir, name)
		}
		all = append(all, ledger.Attested{Source: source, Version: version, By: rebuilders[at].Name, Attestation: contents[name]})
	}
	slices.SortFunc(all, func(a, b ledger.Attested) int {
		return strings.Compare(a.By+" "+a.Source+" "+a.Version, b.By+" "+b.Source+" "+b.Version)
	})
	return all, nil
}

// said are the files of layout.Said.
func (a Archive) said(ctx context.Context, l ledger.Ledger) (map[string][]byte, error) {
	files := map[string][]byte{}
	signing := index.Signing{Signer: a.Signer.At(l.Published), Trusted: a.trusted()}
	for _, one := range l.Assessed {
		if len(one.VEX) == 0 {
			continue
		}
		var content bytes.Buffer
		if err := json.Indent(&content, ledger.Compact(one.VEX), "", "  "); err != nil {
			return nil, fmt.Errorf("writing what is known of %s %s: %w", one.Source, one.Version, err)
		}
		content.WriteByte('\n')
		name := layout.VEX(one.Source, one.Version)
		signature, err := signing.Sign(ctx, content.Bytes())
		if err != nil {
			return nil, err
		}
		files[name], files[name+".asc"] = content.Bytes(), signature
	}
	if len(l.Attested) == 0 {
		return files, nil
	}
	var built []attestation.Built
	for _, one := range l.Attested {
		built = append(built, attestation.Built{ID: one.ID, Source: one.Source, Version: one.Version, At: one.Published, Content: append(ledger.Compact(one.Attestation), '\n')})
	}
	var keys []attestation.Key
	for _, one := range a.Rebuilders {
		keys = append(keys, one.Key)
	}
	served, err := attestation.Served(built, keys)
	for name, content := range served {
		files[layout.RebuiltRoot+"/"+name] = content
	}
	return files, err
}

// assessed is what the status page shows of what is known of versions.
func assessed(l ledger.Ledger, label func(source, full string) string) ([]frontpage.Assessed, error) {
	var all []frontpage.Assessed
	for _, one := range l.Assessed {
		shown := frontpage.Assessed{Version: label(one.Source, one.Version), Seen: one.Seen}
		if len(one.VEX) > 0 {
			statements, err := provenance.ReadOpenVEX(one.VEX)
			if err != nil {
				return nil, err
			}
			shown.VEX = layout.VEX(one.Source, one.Version)
			for _, s := range statements {
				shown.Known = append(shown.Known, frontpage.Known{ID: s.ID, Aliases: s.Aliases, Part: s.Part, Status: s.Status, Justification: s.Justification, Note: s.Note})
			}
		}
		all = append(all, shown)
	}
	return all, nil
}

// rebuilt are the attestations that are true of what is offered. Another one is said aloud, and
// shown to nobody as a confirmation.
func (a Archive) rebuilt(l ledger.Ledger, label func(source, full string) string) (all []frontpage.Rebuilt) {
	for _, one := range l.Attested {
		arches, err := a.confirms(l, one)
		if err != nil {
			fmt.Fprintf(a.Log, "NOT CONFIRMED: the attestation of %s about %s %s: %v\n", one.By, one.Source, one.Version, err)
			continue
		}
		all = append(all, frontpage.Rebuilt{
			Version: label(one.Source, one.Version), By: one.By, Architectures: arches,
			Attestation: layout.RebuiltRoot + "/" + attestation.Path(one.ID), Since: one.Published,
		})
	}
	return all
}

// confirms gives the architectures that an attestation is about, if who gave it is known
// still, and all that they have got is what is offered, or was before it was signed.
func (a Archive) confirms(l ledger.Ledger, one ledger.Attested) (arches []string, err error) {
	at := slices.IndexFunc(a.Rebuilders, func(r Rebuilder) bool { return r.Name == one.By })
	if at < 0 {
		return nil, errors.New("their key is not known any more")
	}
	read, err := attestation.Parse(one.Attestation)
	if err == nil {
		err = read.By(a.Rebuilders[at].Key)
	}
	if err != nil {
		return nil, err
	}
	shipped, err := a.shipped(l, one.Source, one.Version)
	if err != nil {
		return nil, err
	}
	for name, sum := range read.Link.Products {
		if shipped[name] != sum {
			return nil, fmt.Errorf("it has %s with the SHA-256 %s, and offered is %q", name, sum, shipped[name])
		}
	}
	for _, f := range l.Files {
		if f.Kind == ledger.Kind(pkgdef.Deb) && f.Source == one.Source && f.Revision().Full() == one.Version && read.Link.Products[f.Name()] != "" && f.Arch != "all" && !slices.Contains(arches, f.Arch) {
			arches = append(arches, f.Arch)
		}
	}
	slices.Sort(arches)
	return arches, nil
}

// shipped are the digests of a version's files as they were built, by name, as its provenance
// says.
func (a Archive) shipped(l ledger.Ledger, source, version string) (map[string]string, error) {
	sums := map[string]string{}
	for _, f := range l.Files {
		if f.Kind != ledger.Provenance || f.Source != source || f.Revision().Full() != version {
			continue
		}
		content, err := os.ReadFile(filepath.Join(a.Dir, filepath.FromSlash(f.Path)))
		if err != nil {
			return nil, err
		}
		statement, err := provenance.ParseStatement(content)
		if err != nil {
			return nil, err
		}
		maps.Copy(sums, statement.Built())
	}
	return sums, nil
}
