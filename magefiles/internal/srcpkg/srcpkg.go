// Package srcpkg turns one upstream source and its binary packages into source
// packages: a src.rpm and a .dsc, from the same file lists, scriptlets and
// texts as the binary packages themselves. Everything that a rebuild needs,
// but compilers, travels inside.
package srcpkg

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

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/artifact"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pkgdef"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/toolroot"
)

// Formats of source packages.
const (
	DSC  = "dsc"
	SRPM = "srpm"
)

// Names are the formats there are, in order.
func Names() []string { return []string{DSC, SRPM} }

// Tools are the programs that making the given formats takes on this machine, where
// rpmbuild is in root; others than its own do not matter.
func Tools(formats []string, root toolroot.Root) []string {
	var tools []string
	if slices.Contains(formats, DSC) {
		tools = append(tools, "xz", "dpkg-source")
	}
	if slices.Contains(formats, SRPM) {
		tools = append(tools, "xz")
		if root.Dir == "" {
			tools = append(tools, "rpmbuild")
			if os.Geteuid() != 0 {
				tools = append(tools, "fakeroot")
			}
		}
	}
	return slices.Compact(slices.Sorted(slices.Values(tools)))
}

// Source is all that goes into the source packages of one upstream source.
type Source struct {
	Source   pkgdef.Source
	Tree     artifact.Tree
	Packages []Package
	// Static and Dynamic are the arguments of `go build` for the programs that
	// are shipped, and for a distribution's ordinary build. Env are the
	// variables, as KEY=value, that decide what the compilers make of either.
	Static, Dynamic, Env []string
	Reported             string // what the programs answer to --version
	License              string // SPDX expression over the whole source
	Copyright            []byte // Debian's machine-readable form of the same
	Changelog            []byte // the packaging's, in Debian's form
	Note                 string // the changelog's one line
}

// Package is one binary package to be built from the source.
type Package struct {
	pkgdef.Package
	// Forms are the package in each format, by pkgdef's names for them.
	Forms map[string]Form
	// Flag names the package to the sections of a spec; empty where the source has the
	// same name, which then is this package.
	Flag string
}

// Form is what a package is in one format.
type Form struct {
	Facts      pkgdef.Facts
	Payload    []pkgdef.Entry
	Scriptlets map[string]string
	// Helped are the scriptlets for a build in which the distribution's own
	// helpers do their part.
	Helped map[string]string
}

// Maker makes source packages.
type Maker struct {
	Dist artifact.Dist
	Root toolroot.Root // where rpmbuild is
	Log  io.Writer     // progress, a line each file
}

// upstream is the version of the source without the packaging's number.
func (s Source) upstream() string { return s.Tree.FullVersion() }

// full is the version with the packaging's number.
func (s Source) full() string { return fmt.Sprintf("%s-%d", s.Tree.FullVersion(), s.Source.Release) }

// stem is how Debian's names of the source's files begin.
func (s Source) stem() string { return s.Source.Name + "_" }

// FileNames are the names of the files that making the given formats gives.
// Upstream's archives come with any of them.
func (s Source) FileNames(formats []string) []string {
	var names []string
	if slices.Contains(formats, DSC) {
		names = append(names, s.ownDSC()...)
	}
	if slices.Contains(formats, SRPM) {
		names = append(names, s.srpm())
	}
	if len(names) > 0 {
		names = slices.Concat([]string{s.orig(), s.vendor()}, names)
	}
	return names
}

func (s Source) ownDSC() []string { return []string{s.debian(), s.dsc(), s.changes()} }
func (s Source) dsc() string      { return s.stem() + s.full() + ".dsc" }
func (s Source) changes() string  { return s.stem() + s.full() + "_source.changes" }
func (s Source) srpm() string     { return s.Source.Name + "-" + s.full() + ".src.rpm" }

func (s Source) orig() string   { return s.stem() + s.upstream() + ".orig.tar.xz" }
func (s Source) vendor() string { return s.stem() + s.upstream() + ".orig-vendor.tar.xz" }
func (s Source) debian() string { return s.stem() + s.full() + ".debian.tar.xz" }

// record is what a later run needs to know of finished files.
type record struct {
	Key  string
	Sums []string // SHA-256, in the order of the names
}

// once makes the files with the given names in the version's folder, unless
// those of an earlier run were made from the same and are still right. fill
// makes them in an empty folder; they get their places when all are whole.
func (m Maker) once(s Source, what, key string, names []string, fill func(dir string) error) (files []artifact.File, err error) {
	start, final := time.Now(), m.Dist.Version(s.upstream())
	still := func(earlier record) bool {
		files, err = describe(final, names)
		return err == nil && earlier.Key == key && slices.Equal(sums(files), earlier.Sums)
	}
	_, found, err := artifact.Recorded(m.Dist.Work(s.upstream(), "source-"+what+".json"), still, func() (record, error) {
		files, err = placed(m.Dist.Work(s.upstream(), "source-"+what), final, names, fill)
		return record{key, sums(files)}, err
	})
	if err != nil || found {
		return files, err
	}
	for i := range files {
		files[i].Rebuilt, files[i].Took = true, time.Since(start)
	}
	fmt.Fprintf(m.Log, "source %s: %s\n", what, time.Since(start).Round(time.Millisecond))
	return files, nil
}

// placed fills the folder work, and brings the files from there to their places.
func placed(work, final string, names []string, fill func(dir string) error) ([]artifact.File, error) {
	if err := artifact.MakeDir(work, fill); err != nil {
		return nil, err
	}
	defer os.RemoveAll(work)
	if err := settle(work, final, names); err != nil {
		return nil, err
	}
	return describe(final, names)
}

// describe reads the named files in dir.
func describe(dir string, names []string) ([]artifact.File, error) {
	files := make([]artifact.File, len(names))
	for i, name := range names {
		files[i].Path = filepath.Join(dir, name)
		var err error
		if files[i].SHA256, files[i].Size, err = artifact.Digest(files[i].Path); err != nil {
			return nil, err
		}
	}
	return files, nil
}

// settle moves finished files to their places, whatever the umask was.
func settle(from, to string, names []string) error {
	if err := os.MkdirAll(to, 0o755); err != nil {
		return fmt.Errorf("placing the sources: %w", artifact.Explain(err, to))
	}
	for _, name := range names {
		file := filepath.Join(from, name)
		if err := errors.Join(os.Chmod(file, 0o644), os.Rename(file, filepath.Join(to, name))); err != nil {
			return fmt.Errorf("placing %s: %w", name, err)
		}
	}
	return nil
}

// sums are the files' digests, for the keys of what they go into.
func sums(files []artifact.File) []string {
	var sums []string
	for _, file := range files {
		sums = append(sums, file.SHA256)
	}
	return sums
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// Make makes the files of one format. archives are those that Archives made.
func (m Maker) Make(ctx context.Context, format string, s Source, archives []artifact.File) ([]artifact.File, error) {
	form := m.makeDSC
	if format == SRPM {
		form = m.makeSRPM
	}
	files, err := form(ctx, s, archives)
	if err != nil {
		return nil, fmt.Errorf("making the %s of %s %s: %w", format, s.Source.Name, s.upstream(), err)
	}
	return files, nil
}
