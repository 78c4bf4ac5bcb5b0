package pipeline

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/artifact"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/format"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/format/deb"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/license"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/manual"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pkgdef"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/provenance"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/run"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/tool"
)

// programLicenses are what is known of the licenses of all that a program is made of.
type programLicenses struct {
	License string
	Modules []string
	Parts   []provenance.License
}

// docs are a package's texts, and what was found out for them.
type docs struct {
	pkgdef.Docs
	parts []provenance.License // licenses of all that is linked into the program
}

// docs makes the texts of one package, or finds those of an earlier run, and
// sets what they say of the item's license and modules.
func (b *build) docs(ctx context.Context, item *format.Item, self string) (docs, error) {
	place := b.Dist.Work(b.tree.FullVersion(), item.Binary.Arch, item.Package.Name)
	made := docs{Docs: pkgdef.Docs{Dir: filepath.Join(place, "docs"), Changelog: item.Source.Changelog != ""}}
	text, _, err := artifact.Digest(item.Package.Manual)
	if err != nil {
		return docs{}, err
	}
	key := artifact.Key(self, text, item.Binary, item.Tree, item.Source, item.Package)
	still := func(programLicenses) bool {
		_, err := os.Stat(made.Dir)
		return err == nil
	}
	found, _, err := artifact.Cached(filepath.Join(place, "docs.json"), key, still, func() (programLicenses, error) {
		set, err := b.licenses(item)
		if err != nil {
			return programLicenses{}, err
		}
		item.License = set.Expression()
		err = artifact.MakeDir(made.Dir, func(dir string) error { return b.write(ctx, item, set, dir) })
		return programLicenses{item.License, item.Modules, parts(set)}, err
	})
	item.License, item.Modules, made.parts = found.License, found.Modules, found.Parts
	return made, err
}

// parts are the licenses as a bill of materials has them.
func parts(set license.Set) []provenance.License {
	parts := make([]provenance.License, 0, len(set.Entries))
	for _, entry := range set.Entries {
		parts = append(parts, provenance.License{Name: entry.Name, Expression: entry.License})
	}
	return parts
}

// write writes all texts into dir.
func (b *build) write(ctx context.Context, item *format.Item, set license.Set, dir string) error {
	var copyright, thirdParty bytes.Buffer
	err := errors.Join(
		set.DEP5(&copyright, license.Upstream{Name: item.Source.Name, Source: item.Source.Repository}),
		set.ThirdParty(&thirdParty))
	if err != nil {
		return err
	}
	page, completion, err := b.manual(ctx, *item)
	if err != nil {
		return err
	}
	license, err := b.upstreamText("LICENSE")
	if err != nil {
		return err
	}
	zipped := map[string][]byte{pkgdef.DocManual: page, pkgdef.DocPackaging: []byte(deb.Changelog(*item))}
	if b.source.Changelog != "" {
		if zipped[pkgdef.DocChanges], err = b.upstreamText(b.source.Changelog); err != nil {
			return err
		}
	}
	for name, content := range map[string][]byte{
		pkgdef.DocCompletion: completion,
		pkgdef.DocCopyright:  copyright.Bytes(),
		pkgdef.DocThirdParty: thirdParty.Bytes(),
		pkgdef.DocLicense:    license,
	} {
		if err := artifact.WriteBytes(filepath.Join(dir, name), 0o644, content); err != nil {
			return err
		}
	}
	for name, content := range zipped {
		if err := writeZipped(ctx, filepath.Join(dir, name), content); err != nil {
			return err
		}
	}
	return nil
}

func (b *build) upstreamText(name string) ([]byte, error) {
	content, err := os.ReadFile(filepath.Join(b.tree.Dir, name))
	if err != nil {
		return nil, fmt.Errorf("reading upstream's %s: %w", name, err)
	}
	return content, nil
}

// writeZipped writes content to the file at path as gzip makes it, and as it is
// beside it. It is the program's work, so that debhelper and rpmbuild, which
// use it too, make the same from a source package.
func writeZipped(ctx context.Context, path string, content []byte) error {
	gzip := run.New("gzip", "-9n")
	gzip.Stdin = bytes.NewReader(content)
	err := artifact.Write(path, 0o644, func(w io.Writer) error {
		gzip.Stdout = w
		return gzip.Run(ctx)
	})
	return errors.Join(err, artifact.WriteBytes(strings.TrimSuffix(path, pkgdef.Zipped), 0o644, content))
}

// manual makes the man page and the completion from the binary's own help.
func (b *build) manual(ctx context.Context, item format.Item) (page, completion []byte, err error) {
	text, err := os.ReadFile(item.Package.Manual)
	if err != nil {
		return nil, nil, fmt.Errorf("reading the manual: %w", err)
	}
	program, err := b.program(ctx, item)
	if err != nil {
		return nil, nil, err
	}
	command, err := manual.Explore(ctx, program)
	if err != nil {
		return nil, nil, err
	}
	page, err = manual.Page{
		Command: command, Text: string(text), Section: 1,
		Title: item.Source.Title, Version: item.Tree.FullVersion(), Date: item.Tree.Time,
	}.Man()
	return page, manual.Completion(command), err
}

// program is what is asked for its help. In place of a binary for another
// architecture it is the machine's own build of the same tree, if there is
// one: the help is the same, and an emulator takes two minutes for it.
func (b *build) program(ctx context.Context, item format.Item) (manual.Program, error) {
	program := manual.Program{Path: item.Binary.Path, Name: item.Package.Binary()}
	if item.Binary.Arch != runtime.GOARCH {
		if native, ok := b.compiler().Earlier(ctx, b.tree, pkgdef.Commands(b.packages), runtime.GOARCH); ok {
			program.Path = binaryOf(item.Package, native).Path
			return program, nil
		}
	}
	var ok bool
	if program.Prefix, ok = tool.Emulator(item.Binary.Arch); !ok {
		return program, fmt.Errorf("the man page is made from the command's own help, and nothing here runs %s: install an emulator with `%s -arch=%s`", item.Binary.Arch, tool.Setup, item.Binary.Arch)
	}
	return program, nil
}

// licenses finds the modules in the item's binary, and the licenses of
// everything in it.
func (b *build) licenses(item *format.Item) (license.Set, error) {
	_, modules, err := license.Linked(item.Binary.Path)
	if err != nil {
		return license.Set{}, err
	}
	item.Modules = nil
	for _, module := range modules {
		item.Modules = append(item.Modules, module.Path+"@"+module.Version)
	}
	return b.scan(modules, item.Package.Libraries, false)
}

// scan finds the licenses of upstream, the given modules and libraries, which
// are linked or only carried.
func (b *build) scan(modules []license.Module, libraries []pkgdef.Library, carried bool) (license.Set, error) {
	main := license.Module{Path: b.tree.Module, Version: "v" + b.tree.Version}
	extra, err := b.components(libraries)
	if err != nil {
		return license.Set{}, err
	}
	allow := make([]license.Allowance, 0, len(b.source.Allow))
	for _, allowance := range b.source.Allow {
		allow = append(allow, license.Allowance(allowance))
	}
	return license.Scan(license.Request{Tree: b.tree.Dir, Main: main, Modules: modules, Extra: extra, Allow: allow, Carried: carried})
}

// components are the parts that are no Go modules.
func (b *build) components(libraries []pkgdef.Library) ([]license.Component, error) {
	components := []license.Component{}
	for _, library := range libraries {
		path := b.source.LicenseFile(library.Name)
		text, err := os.ReadFile(path)
		if err != nil {
			return nil, fmt.Errorf("reading the license of %s: %w", library.Name, err)
		}
		components = append(components, license.Component{
			Name: library.Name, Place: library.Place,
			Files: []license.File{{Name: filepath.Base(path), Text: string(text)}},
		})
	}
	return components, nil
}
