// Package artifact holds the names and places of what a build makes, the
// values that travel between the steps, and the way files get their final
// names: whole, or not at all.
package artifact

import (
	"path/filepath"
	"time"
)

// Dist is an output folder. Finished files are in one folder a version; work
// in progress and what later runs may use again is in .work, whose name keeps
// the go command's patterns out of it. A checkout's has a folder for each source, which
// is a Dist of its own.
type Dist string

// Of is the folder of one source.
func (d Dist) Of(source string) Dist { return Dist(filepath.Join(string(d), source)) }

// Version is the folder of one version's finished files.
func (d Dist) Version(version string) string { return filepath.Join(string(d), version) }

// Work is a place for intermediate files: dist/.work and the given parts.
func (d Dist) Work(parts ...string) string {
	return filepath.Join(append([]string{string(d), ".work"}, parts...)...)
}

// Tree is an upstream source tree that is ready to be compiled: verified,
// patched and vendored.
type Tree struct {
	Module  string // Go module path
	Version string // bare version, such as 1.13.3
	// Sum is the module zip's hash as the checksum database knows it (h1:...);
	// empty for a local source.
	Sum    string
	Commit string // commit of the upstream tag, 40 hex digits; empty if unknown
	// CommitBy says by whose word it is that commit: the checksum database vouches
	// for the files alone.
	CommitBy string `json:",omitempty"`
	// Time is the tag's commit time in UTC: the SOURCE_DATE_EPOCH of all that is
	// built from the tree.
	Time time.Time
	// Verified is false for a local directory, and where the checksum database
	// was switched off. All that is built from such a tree says so.
	Verified bool
	Patches  []Patch
	Dir      string `json:"-"` // absolute
	// Upstream is an uncompressed tar of the tree as it was fetched: without
	// patches, without dependencies. UpstreamSHA256 is its SHA-256.
	Upstream       string `json:"-"` // absolute path
	UpstreamSHA256 string
	// Hash is the golang.org/x/mod dirhash (h1) of the whole tree, patches and
	// vendored dependencies included.
	Hash string
	// Fresh is true when the tree was made in this run: nobody can have changed
	// it since.
	Fresh bool `json:"-"`
}

// ProxysWord is a tree's CommitBy where nobody but the module proxy has named the
// commit, which may be wrong.
const ProxysWord = "the module proxy alone"

// FullVersion is the version as file and folder names show it: a tree that nobody
// vouches for can never be taken for a release.
func (t Tree) FullVersion() string {
	if t.Verified {
		return t.Version
	}
	return t.Version + "~" + Unverified
}

// Unverified marks, in version strings, what was built from unchecked source.
const Unverified = "unverified"

// Patch is one change applied to the upstream tree.
type Patch struct {
	Name   string // file name
	SHA256 string
}

// Binary is one compiled command.
type Binary struct {
	Name   string // upstream's name for the command, such as spire-server
	Arch   string // Go's name for the architecture: amd64, arm64
	Path   string `json:"-"`
	SHA256 string
	Size   int64 // bytes
	// Linked are the toolchain's and libraries' packages whose code is in the
	// binary, as Debian's Static-Built-Using wants them: name (= version).
	Linked []string
	// Compilers are what made it, in the same form.
	Compilers []string
}

// File is one finished file in dist.
type File struct {
	Path    string
	SHA256  string
	Size    int64         // bytes
	Took    time.Duration // zero when nothing had to be done
	Rebuilt bool          // false: the file of an earlier run is still right
}

// Name is the file's base name.
func (f File) Name() string { return filepath.Base(f.Path) }
