// Package layout says what is where in a repository: which kinds of index it has, and
// where each file is, by its name.
package layout

import (
	"fmt"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/architecture"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/artifact"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/attestation"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/repo/apkindex"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/repo/apt"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/repo/index"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/repo/ledger"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/repo/rpmmd"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/repo/transparency"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/repo/tree"
)

// kinds are those there are. A new one is a package, and a word here.
var kinds = []index.Kind{apt.Index, rpmmd.Index, apkindex.Index}

// Kinds are the kinds of index.
func Kinds() []index.Kind { return slices.Clone(kinds) }

// forms are the forms of all names: those of the kinds, and what is beside the packages
// of all of them.
var forms = slices.Concat(formsOf(kinds), []index.Form{
	index.NewForm(ledger.Record, index.FilesFolder, `N_V-R_`+index.OneOf(architecture.Names(architecture.All()), "all")+`\.build\.json`),
	index.NewForm(ledger.Provenance, index.FilesFolder, `N_V-R\.intoto\.json`),
	index.NewForm(ledger.Sums, index.FilesFolder, regexp.QuoteMeta(artifact.SumsName)),
	index.NewForm(ledger.Signature, index.FilesFolder, regexp.QuoteMeta(artifact.SumsSignature)),
})

func formsOf(kinds []index.Kind) (all []index.Form) {
	for _, kind := range kinds {
		all = append(all, kind.Forms...)
	}
	return all
}

// Parse reads a file's base name. A name of another form is an error: whoever
// publishes it would not find it in any index.
func Parse(file string) (index.Name, error) {
	if of, ok := described(file); ok {
		n, err := Parse(of)
		n.Kind, n.In, n.Of = ledger.SBOM, index.FilesFolder, of
		return n, err
	}
	for _, form := range forms {
		if n, ok, err := form.Parse(file); ok {
			return n, err
		}
	}
	return index.Name{}, fmt.Errorf("%q is not the name of a file that is published, such as spire-agent_1.13.3-1_amd64.deb", file)
}

// described is the file of packages that a bill of materials describes, by its name.
func described(file string) (of string, ok bool) {
	for _, suffix := range []string{artifact.CycloneDX, artifact.SPDX} {
		if of, ok = strings.CutSuffix(file, suffix); ok {
			return of, slices.ContainsFunc(kinds, func(k index.Kind) bool { return strings.HasSuffix(of, k.Suffix) })
		}
	}
	return "", false
}

// Paths are the places of a file of that base name and of a revision, below the root.
// Those that no index lists are in a folder for each revision.
func Paths(n index.Name, base, main string, of ledger.Revision) (paths []string) {
	folders := []string{Folder(main, of)}
	for _, kind := range kinds {
		if n.In != kind.Folder {
			continue
		}
		folders = kind.Folders(n, of.Source)
		if kind.Base != nil {
			base = kind.Base(n)
		}
	}
	for _, folder := range folders {
		paths = append(paths, folder+"/"+base)
	}
	return paths
}

// Base is the base name under which a file of the given one is published: its own, unless
// its package manager looks for another one.
func Base(file string) string {
	n, err := Parse(file)
	for _, kind := range kinds {
		if err == nil && n.In == kind.Folder && kind.Base != nil {
			return kind.Base(n)
		}
	}
	return file
}

// Folder is the folder of what no index lists of a revision. Those of other sources
// than the main one, such as keyring packages, have its name before the version.
func Folder(main string, of ledger.Revision) string {
	full := of.Full()
	if of.Source != main {
		full = of.Source + "-" + full
	}
	return path.Join(index.FilesFolder, full)
}

// Page is the front page.
const Page = "index.html"

// Pages are for people and feed readers, at the root.
var Pages = []string{Page, "status.html", "status.json", "feed.xml"}

// The folders of what is said of versions, and changes while they do not.
const (
	VEXFolder   = "vex"
	RebuiltRoot = "rebuilt" // rebuilderd's interface is below it
)

// VEX is the path of a version's OpenVEX document; its signature is beside it.
func VEX(source, version string) string {
	return fmt.Sprintf("%s/%s_%s.openvex.json", VEXFolder, source, version)
}

// Said are the files about what is offered that a publication makes of the ledger, as it makes
// the pages: VEX documents, and attestations before the list that names them.
func Said(l ledger.Ledger) (names []string) {
	for _, one := range l.Assessed {
		if len(one.VEX) > 0 {
			name := VEX(one.Source, one.Version)
			names = append(names, name, name+artifact.Signature)
		}
	}
	for _, one := range l.Attested {
		names = append(names, RebuiltRoot+"/"+attestation.Path(one.ID))
	}
	if len(l.Attested) > 0 {
		names = append(names, RebuiltRoot+"/"+attestation.KeysPath, RebuiltRoot+"/"+attestation.ListPath)
	}
	return names
}

// Owned are the folders in which everything is the repository's own.
func Owned() []string {
	owned := []string{index.FilesFolder, ledger.Records, transparency.Folder, VEXFolder, RebuiltRoot}
	for _, kind := range kinds {
		owned = append(owned, kind.Folder)
	}
	slices.Sort(owned)
	return owned
}

// Fixed are the paths of the owned folders' files that always have the same name, in a
// tree of the ledger.
func Fixed(l ledger.Ledger) []string { return append(slices.Concat(Groups(l)...), Said(l)...) }

// Void are those of Fixed that list nothing, which an archive of former days may not have.
func Void(l ledger.Ledger) (paths []string) {
	for _, kind := range kinds {
		if kind.Void != nil {
			paths = append(paths, kind.Void(l)...)
		}
	}
	return paths
}

// Keys are the files with certificates, where clients of any kind ask for them.
func Keys(certificates []index.Certificate) map[string][]byte {
	files := map[string][]byte{}
	for _, kind := range kinds {
		if kind.Keys != nil {
			maps.Copy(files, kind.Keys(certificates))
		}
	}
	return files
}

// Reads are the files, beside records, from which the next state is made: of the indexes,
// and the public log.
func Reads(l ledger.Ledger) []string {
	paths := append(Logged(l), transparency.Checkpoint)
	for _, kind := range kinds {
		if kind.Reads != nil {
			paths = append(paths, kind.Reads(l)...)
		}
	}
	return paths
}

// Logged are the files of the public log but for its checkpoint: with the publication, and
// before it, which a reader may have begun with.
func Logged(l ledger.Ledger) []string {
	if l.Log.Size == 0 {
		return nil
	}
	paths := slices.Concat(transparency.Paths(l.Log.Before), transparency.Paths(l.Log.Size))
	slices.Sort(paths)
	return slices.Compact(paths)
}

// Groups are the Fixed files in the order in which they are put in place: those of a group
// at once, the groups one after the other. What a client is led to is in the log already.
func Groups(l ledger.Ledger) [][]string {
	groups := [][]string{{transparency.Checkpoint}}
	for _, kind := range kinds {
		groups = append(groups, kind.Fixed(l)...)
	}
	return groups
}

// Order is the order in which a publication's files are put in place, so that a client
// finds all that it is led to: of a group all before any of the next one. First are packages
// and records, then index files whose names tell their digests, then the log's tiles, whose
// names do not. keys are the files with certificates.
func Order(l ledger.Ledger, keys map[string][]byte) [][]string {
	var files []string
	for _, f := range l.All() {
		files = append(files, f.Path)
		if f.Record != "" {
			files = append(files, ledger.RecordPath(f.Record))
		}
	}
	needed := l.Needed()
	for _, g := range l.Tombstones {
		if needed[g.Path] {
			files = append(files, g.Path)
		}
	}
	var indexes []string
	for _, k := range l.Kept {
		indexes = append(indexes, k.Path)
	}
	order := [][]string{files, indexes, Logged(l), slices.Sorted(maps.Keys(keys))}
	return append(append(order, Groups(l)...), Said(l), Pages, []string{ledger.SignatureName, ledger.Name})
}

// Sweep removes what no valid index names, and what a publication left that was cut
// off. keys are the files with certificates.
func Sweep(t tree.Tree, l ledger.Ledger, keys map[string][]byte) error {
	needed := l.Needed()
	for _, name := range append(Logged(l), Fixed(l)...) {
		needed[name] = true
	}
	for name := range keys {
		needed[name] = true
	}
	return t.Sweep(Owned(), needed)
}
