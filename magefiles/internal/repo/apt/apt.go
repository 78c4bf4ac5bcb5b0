// Package apt makes and reads the apt repository: Packages, Sources and Contents, and
// the signed Release over them.
package apt

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/architecture"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/artifact"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/deb822"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pkgdef"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/repo/index"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/repo/ledger"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/repo/notice"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/repo/tree"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/xzfile"
)

const (
	root = "apt"
	pool = root + "/pool/main"
	// component is the only one there is.
	component = "main"
	sources   = component + "/source/Sources"
	// stable has all that is offered.
	stable suite = "stable"
	// archive has all that ever was, where nothing is given up.
	archive suite = "archive"
	// security has of that what mends something, for clients that take no more, by the
	// suite's name or its label: unattended-upgrades chooses by an archive's origin, label,
	// suite, codename, component or site, and reads neither a changelog's urgency nor any
	// list of vulnerabilities. (A component of its own in stable would do for it, but what
	// else tells of security updates, such as check_apt, goes by the suite and the label.)
	security suite = "stable-security"
	// InRelease is the signed index of all that is offered, below the repository's root.
	InRelease = root + "/dists/" + string(stable) + "/" + inRelease
	// SecurityInRelease is the one of what mends something.
	SecurityInRelease = root + "/dists/" + string(security) + "/" + inRelease
	inRelease         = "InRelease"
	// snapshots is the folder of the states that once were, in which apt looks for one by the
	// name of its moment.
	snapshots = root + "/snapshot"
	// mirrors says, in the folder of a state, where its files are: the indexes there, and the
	// packages in the pool, which all states share.
	mirrors = "mirrors"
)

// suite is one of the sets of indexes over the pool, by its name.
type suite string

// dir is where its indexes are.
func (u suite) dir() string { return root + "/dists/" + string(u) }

// path is where a file of it is.
func (u suite) path(name string) string { return path.Join(u.dir(), name) }

// label is what the suite calls itself.
func (u suite) label(origin string) string {
	if u == security {
		return origin + "-Security"
	}
	return origin
}

// suites are those that a tree of the ledger has.
func suites(l ledger.Ledger) []suite {
	all := []suite{stable}
	if l.Notices != "" {
		all = append(all, security)
	}
	if l.Everything {
		all = append(all, archive)
	}
	return all
}

// deb is the kind of a package's file.
const deb ledger.Kind = pkgdef.Deb

// archs are the architectures of what is published, by Debian's names.
var archs = architecture.Debian(architecture.All())

// Index is apt's.
var Index = index.Kind{
	Folder: root, Suffix: ".deb",
	Forms: []index.Form{
		index.NewForm(deb, root, `N_V-R_`+index.OneOf(archs, "all")+`\.deb`),
		index.NewForm(ledger.Source, root, `N_V-R\.dsc`),
		index.NewForm(ledger.Source, root, `N_V-R\.debian\.tar\.xz`),
		index.NewForm(ledger.Source, root, `N_V\.orig(-[a-z0-9-]+)?\.tar\.xz`),
		index.NewForm(ledger.Record, index.FilesFolder, `N_V-R_source\.changes`),
		index.NewForm(ledger.Record, index.FilesFolder, `N_V-R_`+index.OneOf(archs, "all")+`\.buildinfo`),
	},
	Heads: []string{InRelease, SecurityInRelease}, Traces: []string{InRelease}, Fixed: fixed,
	Tools:   []string{"apt-ftparchive"},
	Folders: func(_ index.Name, source string) []string { return []string{folder(source)} },
	Inspect: inspect, Make: build, Read: read,
}

// folder is where the files of a source are.
func folder(source string) string { return path.Join(pool, source[:1], source) }

// packages and listing are the indexes of an architecture, below those of a suite.
func packages(arch string) string { return component + "/binary-" + arch + "/Packages" }
func listing(arch string) string  { return component + "/Contents-" + arch }

// fixed are the files that always have the same name, of one suite after the other.
func fixed(l ledger.Ledger) (groups [][]string) {
	for _, u := range suites(l) {
		groups = append(groups, u.fixed()...)
	}
	return groups
}

// fixed are the suite's. apt takes Release and its signature where there is no InRelease
// only.
func (u suite) fixed() [][]string {
	plain := []string{sources}
	for _, arch := range archs {
		plain = append(plain, packages(arch), listing(arch))
	}
	var lists []string
	for _, name := range plain {
		name = u.path(name)
		lists = append(lists, name, name+".gz", name+".xz")
	}
	return [][]string{lists, {u.path("Release"), u.path("Release.gpg")}, {u.path(inRelease)}}
}

// record is what the indexes say of one file.
type record struct {
	Stanza deb822.Stanza // of Packages or Sources
	Files  []string      `json:",omitempty"` // what a deb installs, for Contents
}

// build makes and signs the indexes.
func build(ctx context.Context, s index.State) (index.Made, error) {
	records, err := records(s)
	if err != nil {
		return index.Made{}, err
	}
	all := index.Made{Signed: map[string][]byte{}, First: map[string][]byte{}, Snapshot: map[string][]byte{}}
	if of := s.Ledger.Snapshot(); of != "" {
		all.Snapshot[path.Join(snapshots, of, mirrors)] = mirrorsOf(s.URL, of)
	}
	for _, u := range suites(s.Ledger) {
		made, err := u.build(ctx, s, records)
		if err != nil {
			return index.Made{}, err
		}
		maps.Copy(all.Signed, made.Signed)
		maps.Copy(all.First, made.First)
		maps.Copy(all.Snapshot, made.Snapshot)
		all.Unchanging, all.Steps = append(all.Unchanging, made.Unchanging...), append(all.Steps, made.Steps...)
	}
	return all, nil
}

func (u suite) build(ctx context.Context, s index.State, records map[string]record) (index.Made, error) {
	indexes, err := indexes(u.of(s), records)
	if err != nil {
		return index.Made{}, err
	}
	text := u.release(s, indexes)
	signature, err := s.Sign(ctx, text)
	if err != nil {
		return index.Made{}, err
	}
	signed, err := s.Signer.Clear(ctx, text)
	if err != nil {
		return index.Made{}, err
	}
	first := map[string][]byte{}
	for name, content := range indexes {
		first[u.byHash(name, artifact.DigestBytes(content))] = content
	}
	files := tree.Below(u.dir(), indexes)
	files[u.path("Release")], files[u.path("Release.gpg")], files[u.path(inRelease)] = text, signature, signed
	return index.Made{
		Signed:     map[string][]byte{u.path("Release"): text},
		Unchanging: slices.Collect(maps.Keys(first)), First: first,
		Snapshot: u.snapshot(s.Ledger, indexes, map[string][]byte{inRelease: signed, "Release": text, "Release.gpg": signature}),
		Steps:    index.InOrder(s.Tree, u.fixed(), files),
	}, nil
}

// snapshot is the suite as it is now, in the folder of its moment, where the ledger has one:
// what is signed, and the lists that apt takes, each by its digest. The archive needs none:
// nothing leaves it.
func (u suite) snapshot(l ledger.Ledger, indexes, signed map[string][]byte) map[string][]byte {
	files, of := map[string][]byte{}, l.Snapshot()
	if of == "" || u == archive {
		return files
	}
	at := func(file string) string { return path.Join(snapshots, of, strings.TrimPrefix(file, root+"/")) }
	for name, content := range signed {
		files[at(u.path(name))] = content
	}
	for name, content := range indexes {
		if path.Ext(name) == ".xz" {
			files[at(u.byHash(name, artifact.DigestBytes(content)))] = content
		}
	}
	return files
}

// mirrorsOf is the list by which apt's method mirror (apt-transport-mirror(1)) finds what
// a state has. An index is looked for in the state's folder alone: that of another state in
// its place would be taken.
func mirrorsOf(url, of string) []byte {
	return fmt.Appendf(nil, "%s/%s/%s/\tpriority:1 type:index\n%s/%s/\tpriority:2 type:deb\n", url, snapshots, of, url, root)
}

// of is the ledger with nothing but what the suite offers.
func (u suite) of(s index.State) ledger.Ledger {
	l := s.Ledger
	switch u {
	case archive:
		l.Files = l.All()
	case security:
		l.Files = l.Where(func(f ledger.File) bool {
			return slices.ContainsFunc(s.Updates, func(n notice.Update) bool { return n.Has(f) })
		})
	}
	return l
}

// indexes are Packages, Sources and Contents, each plain, gzipped and as xz, by
// their paths below those of a suite.
func indexes(l ledger.Ledger, records map[string]record) (map[string][]byte, error) {
	plain := plainIndexes(l, records)
	packed := make([][2][]byte, len(plain))
	paths := slices.Sorted(maps.Keys(plain))
	var group errgroup.Group
	for i, name := range paths {
		group.Go(func() (err error) {
			packed[i][0], err = artifact.Gzip(plain[name])
			if err == nil {
				packed[i][1], err = xzfile.Pack(plain[name])
			}
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, fmt.Errorf("packing the apt indexes: %w", err)
	}
	for i, name := range paths {
		plain[name+".gz"], plain[name+".xz"] = packed[i][0], packed[i][1]
	}
	return plain, nil
}

func plainIndexes(l ledger.Ledger, records map[string]record) map[string][]byte {
	indexes := map[string][]byte{sources: list(l, records, func(f ledger.File) bool { return f.Kind == ledger.Source })}
	for _, arch := range archs {
		is := func(f ledger.File) bool { return f.Kind == deb && (f.Arch == arch || f.Arch == "all") }
		indexes[packages(arch)] = list(l, records, is)
		indexes[listing(arch)] = contents(l, records, is)
	}
	return indexes
}

// records are what is said of the offered files, by path.
func records(s index.State) (map[string]record, error) {
	records := map[string]record{}
	for _, f := range s.Ledger.All() {
		if !recorded(f) {
			continue
		}
		var found record
		if err := f.ReadRecord(s.Dir, &found); err != nil {
			return nil, err
		}
		records[f.Path] = found
	}
	return records, nil
}

// recorded says whether an index has a stanza of the file.
func recorded(f ledger.File) bool { return f.Record != "" && strings.HasPrefix(f.Path, pool+"/") }

// list is the stanzas of the files that is says yes to, by package, the oldest
// first, an empty line between them.
func list(l ledger.Ledger, records map[string]record, is func(ledger.File) bool) []byte {
	files := l.Where(func(f ledger.File) bool { return recorded(f) && is(f) })
	slices.SortFunc(files, func(a, b ledger.File) int {
		return cmp.Or(cmp.Compare(a.Package, b.Package), a.Revision().Compare(b.Revision()), a.Compare(b))
	})
	var all bytes.Buffer
	for i, f := range files {
		if i > 0 {
			all.WriteByte('\n')
		}
		all.WriteString(string(records[f.Path].Stanza))
	}
	return all.Bytes()
}

// contents is a Contents index: a line for each path, with the packages that
// have it in any of their versions, as section/package.
func contents(l ledger.Ledger, records map[string]record, is func(ledger.File) bool) []byte {
	owners := map[string]map[string]bool{}
	for _, f := range l.Where(is) {
		owner := strings.TrimPrefix(records[f.Path].Stanza.Get("Section")+"/"+f.Package, "/")
		for _, installed := range records[f.Path].Files {
			if owners[installed] == nil {
				owners[installed] = map[string]bool{}
			}
			owners[installed][owner] = true
		}
	}
	var all bytes.Buffer
	for _, installed := range slices.Sorted(maps.Keys(owners)) {
		fmt.Fprintf(&all, "%s\t%s\n", installed, strings.Join(slices.Sorted(maps.Keys(owners[installed])), ","))
	}
	return all.Bytes()
}

// release is the Release file over the indexes (the wiki's
// DebianRepository/Format). apt-ftparchive would read them from the tree, with
// a Date of its own and without a Valid-Until; these are the very bytes that
// will be put there.
func (u suite) release(s index.State, indexes map[string][]byte) []byte {
	var sums []string
	for _, name := range slices.Sorted(maps.Keys(indexes)) {
		sums = append(sums, fmt.Sprintf("%s %d %s", artifact.DigestBytes(indexes[name]), len(indexes[name]), name))
	}
	return []byte(strings.Join([]string{
		deb822.Field("Origin", s.Origin),
		deb822.Field("Label", u.label(s.Origin)),
		deb822.Field("Suite", string(u)),
		deb822.Field("Codename", string(u)),
		u.snapshotsField(s),
		deb822.Field("Date", date(s.Ledger.Published)),
		deb822.Field("Valid-Until", date(s.Ledger.Until)),
		deb822.Field("Acquire-By-Hash", "yes"),
		deb822.Field("Architectures", strings.Join(archs, " ")),
		deb822.Field("Components", component),
		deb822.Field("Description", s.Description),
		deb822.Field("SHA256", "", sums...),
	}, ""))
}

// snapshotsField says where apt finds the suite as it once was; nothing where it does not.
func (u suite) snapshotsField(s index.State) string {
	if !s.Ledger.Everything || u == archive {
		return ""
	}
	return deb822.Field("Snapshots", fmt.Sprintf("mirror+%s/%s/@SNAPSHOTID@/%s/", s.URL, snapshots, mirrors))
}

// dateForm is the form of times in Release files, which are of UTC.
const dateForm = "Mon, 02 Jan 2006 15:04:05 UTC"

// date is a time as Release files have it.
func date(t time.Time) string { return t.UTC().Format(dateForm) }

// byHash is where apt finds an index by its digest: at a name that never
// changes, and that the next publication does not take away.
func (u suite) byHash(name, digest string) string {
	return u.path(path.Join(path.Dir(name), "by-hash", "SHA256", digest))
}
