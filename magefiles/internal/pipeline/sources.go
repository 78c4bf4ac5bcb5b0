package pipeline

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/artifact"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/compile"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/format/deb"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/license"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pkgdef"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pkgdef/scriptlets"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/srcpkg"
)

// sources are the source packages on their way: what takes long and needs
// nothing compiled is made beside the compilation, the rest at its end.
type sources struct {
	*build
	formats []string // those asked for
	source  srcpkg.Source
	arch    string // whose texts the source packages carry
	items   []wanted

	cancel   context.CancelFunc
	done     chan struct{} // closed when the following are set
	archives []artifact.File
	err      error
}

// startSources begins with what needs nothing compiled. Where that cannot be
// made, fail ends the compilation, which would be for nothing.
func (b *build) startSources(ctx context.Context, fail func(error)) *sources {
	s := &sources{build: b, done: make(chan struct{})}
	for _, name := range srcpkg.Names() {
		if slices.Contains(b.options.Formats, name) {
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

// stop ends what was begun, where the build ends early.
func (s *sources) stop() {
	s.cancel()
	<-s.done
}

// prepare packs upstream's source and finds the licenses of all of it.
func (s *sources) prepare(ctx context.Context) (err error) {
	s.source = srcpkg.Source{
		Source: s.build.source, Tree: s.tree,
		Static: compile.Flags(s.build.source, s.tree), Dynamic: compile.DynamicFlags(s.build.source, s.tree),
		Env: portable(), Reported: compile.Reported(s.tree),
	}
	if s.archives, err = s.maker().Archives(ctx, s.source); err != nil {
		return err
	}
	return s.licenses()
}

func (s *sources) maker() srcpkg.Maker {
	return srcpkg.Maker{Dist: s.Dist, Root: s.rpmbuild, Log: s.Log}
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
func (s *sources) licenses() error {
	self, err := selfDigest()
	if err != nil {
		return err
	}
	libraries := s.libraries(inTree)
	place := s.Dist.Work(s.tree.FullVersion(), "source-license.json")
	found, _, err := artifact.Cached(place, artifact.Key(self, s.tree, s.build.source, libraries), nil, func() (sourceLicense, error) {
		return s.scanAll(libraries)
	})
	if err != nil {
		return fmt.Errorf("finding the licenses of the source: %w", err)
	}
	s.source.License, s.source.Copyright = found.Expression, found.DEP5
	return nil
}

func (s *sources) scanAll(libraries []pkgdef.Library) (found sourceLicense, err error) {
	modules, err := license.Vendored(s.tree.Dir)
	if err != nil {
		return found, err
	}
	set, err := s.scan(modules, libraries, true)
	if err != nil {
		return found, err
	}
	set = set.InSource()
	var text bytes.Buffer
	err = set.DEP5(&text, license.Upstream{Name: s.build.source.Name, Source: s.build.source.Repository})
	return sourceLicense{set.Expression(), text.Bytes()}, err
}

// inTree says whether a library's source is in the tree.
func inTree(library pkgdef.Library) bool { return library.Place != "" }

// libraries are those of the packages that are wanted, each once.
func (b *build) libraries(wanted func(pkgdef.Library) bool) []pkgdef.Library {
	var libraries []pkgdef.Library
	for _, p := range b.packages {
		for _, library := range p.Libraries {
			if wanted(library) && !slices.Contains(libraries, library) {
				libraries = append(libraries, library)
			}
		}
	}
	return libraries
}

// add takes one architecture's packages. Source packages carry the texts of
// the first, so those of all others must be the same.
func (s *sources) add(arch string, items []wanted) error {
	if len(s.formats) == 0 {
		return nil
	}
	if s.arch != "" {
		return s.sameTexts(arch)
	}
	s.arch, s.items = arch, items
	return nil
}

func (s *sources) sameTexts(arch string) error {
	for _, p := range s.packages {
		first, second := s.Dist.Work(s.tree.FullVersion(), s.arch, p.Name, "docs"), s.Dist.Work(s.tree.FullVersion(), arch, p.Name, "docs")
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

// finish makes the source packages that were asked for. Where ctx ends, so does
// what was begun.
func (s *sources) finish(ctx context.Context) ([]artifact.File, error) {
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
			made[i], err = s.maker().Make(ctx, name, s.source, s.archives)
			return err
		})
	}
	err := group.Wait()
	return slices.Concat(s.archives, slices.Concat(made...)), err
}

// describe sets what the source packages say of the packages built from them.
func (s *sources) describe() error {
	s.source.Changelog, s.source.Note = []byte(deb.Changelog(s.items[0].item)), s.items[0].item.Note()
	for _, p := range s.packages {
		described := srcpkg.Package{Package: p, Forms: map[string]srcpkg.Form{}}
		for _, want := range s.items {
			if want.item.Package.Name != p.Name {
				continue
			}
			form, err := s.form(want)
			if err != nil {
				return err
			}
			described.Forms[want.format.Name] = form
		}
		s.source.Packages = append(s.source.Packages, described)
	}
	return nil
}

func (s *sources) form(want wanted) (srcpkg.Form, error) {
	form := srcpkg.Form{
		Facts: want.format.Facts(want.item), Payload: want.item.Payload, Scriptlets: want.item.Scriptlets,
	}
	if want.format.Name != pkgdef.Deb {
		return form, nil // rpm's helpers are macros, which the spec calls
	}
	data := want.item.Package.Scriptlets(s.build.source, s.tree.Version)
	data.Helped = true
	helped, err := scriptlets.Render(want.format.Scripts, data)
	if err != nil {
		return srcpkg.Form{}, fmt.Errorf("writing the scriptlets of %s: %w", want.item.Package.Name, err)
	}
	// debhelper writes the others by itself.
	form.Helped = map[string]string{"postrm": helped["postrm"]}
	return form, nil
}
