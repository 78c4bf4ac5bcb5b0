// Package sources makes the source packages of a version, beside what they are told of:
// what takes long and needs nothing compiled is begun before the compilation, the rest is
// made at its end.
package sources

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/artifact"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/compile"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/format/deb"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pipeline/contents"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pipeline/inventory"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pipeline/licensing"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pkgdef"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pkgdef/scriptlets"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/srcpkg"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/toolroot"
)

// Maker makes the source packages of a version.
type Maker struct {
	inventory.Version
	RPMBuild toolroot.Root // where rpmbuild is
	Log      io.Writer
}

// Sources are the source packages on their way.
type Sources struct {
	Maker
	formats []string // those asked for
	source  srcpkg.Source
	arch    string // whose texts the source packages carry
	items   []contents.File

	cancel   context.CancelFunc
	done     chan struct{} // closed when the following are set
	archives []artifact.File
	err      error
}

// Begin begins with what needs nothing compiled. Where that cannot be made, fail ends
// the compilation, which would be for nothing.
func (m Maker) Begin(ctx context.Context, fail func(error)) *Sources {
	s := &Sources{Maker: m, done: make(chan struct{})}
	for _, name := range srcpkg.Names() {
		if slices.Contains(m.Formats, name) {
			s.formats = append(s.formats, name)
		}
	}
	ctx, s.cancel = context.WithCancel(ctx)
	go func() {
		defer close(s.done)
		if len(s.formats) == 0 {
			return
		}
		if s.err = s.prepare(ctx); s.err != nil {
			fail(s.err)
		}
	}()
	return s
}

// Stop ends what was begun, where the build ends early.
func (s *Sources) Stop() {
	s.cancel()
	<-s.done
}

// prepare packs upstream's source and finds the licenses of all of it.
func (s *Sources) prepare(ctx context.Context) (err error) {
	s.source = srcpkg.Source{
		Source: s.Source, Tree: s.Tree,
		Static: compile.Flags(s.Source, s.Tree), Dynamic: compile.DynamicFlags(s.Source, s.Tree),
		Env: portable(), Reported: compile.Reported(s.Tree),
	}
	if s.archives, err = s.packager().Archives(ctx, s.source); err != nil {
		return err
	}
	return s.licenses()
}

func (s *Sources) packager() srcpkg.Maker {
	return srcpkg.Maker{Dist: s.Dist, Root: s.RPMBuild, Log: s.Log}
}

// portable are the compilers' variables for a machine's own architecture.
func portable() []string {
	return slices.DeleteFunc(compile.Env("", "musl-gcc"), func(v string) bool {
		return strings.HasPrefix(v, "GOARCH=") || strings.HasPrefix(v, "GOOS=")
	})
}

// sourceLicense is the license of a whole source.
type sourceLicense struct {
	Expression string
	DEP5       []byte
}

// licenses finds the licenses of everything that the source packages carry,
// linked or not.
func (s *Sources) licenses() error {
	self, err := artifact.Self()
	if err != nil {
		return err
	}
	libraries := licensing.InTree(s.Packages)
	place := s.Dist.Work(s.Tree.FullVersion(), "source-license.json")
	found, _, err := artifact.Cached(place, artifact.Key(self, s.Tree, s.Source, libraries), nil, func() (sourceLicense, error) {
		return s.carried(libraries)
	})
	if err != nil {
		return fmt.Errorf("finding the licenses of the source: %w", err)
	}
	s.source.License, s.source.Copyright = found.Expression, found.DEP5
	return nil
}

func (s *Sources) carried(libraries []pkgdef.Library) (found sourceLicense, err error) {
	licenses := licensing.Version{Source: s.Source, Tree: s.Tree}
	set, err := licenses.Carried(libraries)
	if err != nil {
		return found, err
	}
	set = set.InSource()
	var text bytes.Buffer
	err = set.DEP5(&text, licenses.Upstream())
	return sourceLicense{set.Expression(), text.Bytes()}, err
}

// Add takes one architecture's packages. Source packages carry the texts of
// the first, so those of all others must be the same.
func (s *Sources) Add(arch string, items []contents.File) error {
	if len(s.formats) == 0 {
		return nil
	}
	if s.arch != "" {
		return s.sameTexts(arch)
	}
	s.arch, s.items = arch, items
	return nil
}

func (s *Sources) sameTexts(arch string) error {
	for _, p := range pkgdef.Programs(s.Packages) {
		first, second := s.Dist.Work(s.Tree.FullVersion(), s.arch, p.Name, "docs"), s.Dist.Work(s.Tree.FullVersion(), arch, p.Name, "docs")
		one, err := artifact.HashTree(first, "")
		if err != nil {
			return err
		}
		two, err := artifact.HashTree(second, "")
		if err != nil {
			return err
		}
		if one != two {
			return fmt.Errorf("the texts of %s are not the same for %s and %s, so one source package cannot build both: compare %s with %s", p.Name, s.arch, arch, first, second)
		}
	}
	return nil
}

// Finish makes the source packages that were asked for. Where ctx ends, so does
// what was begun.
func (s *Sources) Finish(ctx context.Context) ([]artifact.File, error) {
	defer context.AfterFunc(ctx, s.cancel)()
	<-s.done
	if s.err != nil || len(s.formats) == 0 {
		return nil, s.err
	}
	if err := s.describe(); err != nil {
		return nil, err
	}
	made := make([][]artifact.File, len(s.formats))
	group, ctx := errgroup.WithContext(ctx)
	for i, name := range s.formats {
		group.Go(func() (err error) {
			made[i], err = s.packager().Make(ctx, name, s.source, s.archives)
			return err
		})
	}
	err := group.Wait()
	return slices.Concat(s.archives, slices.Concat(made...)), err
}

// describe sets what the source packages say of the packages built from them.
func (s *Sources) describe() error {
	s.source.Changelog, s.source.Note = []byte(deb.Changelog(s.items[0].Item)), s.items[0].Item.Note()
	for _, p := range s.Packages {
		described := srcpkg.Package{Package: p, Forms: map[string]srcpkg.Form{}}
		for _, want := range s.items {
			if want.Item.Package.Name != p.Name {
				continue
			}
			form, err := s.form(want)
			if err != nil {
				return err
			}
			described.Forms[want.Format.Name] = form
		}
		s.source.Packages = append(s.source.Packages, described)
	}
	return nil
}

func (s *Sources) form(want contents.File) (srcpkg.Form, error) {
	form := srcpkg.Form{
		Facts: want.Format.Facts(want.Item), Payload: want.Item.Payload, Scriptlets: want.Item.Scriptlets,
	}
	if want.Format.Name != pkgdef.Deb {
		return form, nil // rpm's helpers are macros, which the spec calls
	}
	data := want.Item.Package.Scriptlets(s.Source, s.Tree.Version)
	data.Helped = true
	helped, err := scriptlets.Render(want.Format.Scripts, data)
	if err != nil {
		return srcpkg.Form{}, fmt.Errorf("writing the scriptlets of %s: %w", want.Item.Package.Name, err)
	}
	// debhelper writes the others by itself.
	form.Helped = map[string]string{"postrm": helped["postrm"]}
	if want.Item.Package.Plugin != nil { // whose service is another package's
		form.Helped = helped
	}
	return form, nil
}
