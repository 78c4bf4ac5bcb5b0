package contents

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
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pipeline/licensing"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pkgdef"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/provenance"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/run"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/tool"
)

// texts is what was found out for a package's texts.
type texts struct {
	License string               // an expression, of all that the program is made of
	Modules []string             // linked into it, as path@version
	Parts   []provenance.License // of all that is linked into it
}

// docs is the folder of a package's texts.
func (m Maker) docs(item format.Item) string { return m.place(item, "docs") }

// place is a place for what is made of a package.
func (m Maker) place(item format.Item, name string) string {
	return m.Dist.Work(m.Tree.FullVersion(), item.Binary.Arch, item.Package.Name, name)
}

// pluginEnv writes what a plugin tells the units of SPIRE; "" where the program is none.
func (m Maker) pluginEnv(item format.Item) (path string, err error) {
	if item.Package.Plugin == nil {
		return "", nil
	}
	path = m.place(item, "plugin.env")
	lines := strings.Join(item.Package.PluginLines(item.Binary.SHA256), "\n") + "\n"
	return path, artifact.WriteBytes(path, 0o644, []byte(lines))
}

// texts makes the texts of one package, or finds those of an earlier run.
func (m Maker) texts(ctx context.Context, item format.Item) (texts, error) {
	self, err := artifact.Self()
	if err != nil {
		return texts{}, err
	}
	page := ""
	if item.Package.HasProgram() {
		if page, _, err = artifact.Digest(item.Package.Manual); err != nil {
			return texts{}, err
		}
	}
	key := artifact.Key(self, page, item.Binary, m.Tree, m.Source, item.Package)
	still := func(texts) bool {
		_, err := os.Stat(m.docs(item))
		return err == nil
	}
	found, _, err := artifact.Cached(m.place(item, "docs.json"), key, still, func() (texts, error) { return m.make(ctx, item) })
	return found, err
}

// make makes the folder of the texts.
func (m Maker) make(ctx context.Context, item format.Item) (texts, error) {
	set, modules, err := m.licenses(item)
	if err != nil {
		return texts{}, err
	}
	err = artifact.MakeDir(m.docs(item), func(dir string) error { return m.write(ctx, item, set, dir) })
	return texts{set.Expression(), modules, parts(set)}, err
}

// licenses are those of all that a package has in it, and the modules among that.
func (m Maker) licenses(item format.Item) (set license.Set, modules []string, err error) {
	if item.Package.HasProgram() {
		return m.licensing().Linked(item.Binary.Path, item.Package.Libraries)
	}
	set, err = m.licensing().Own(item.Package.Libraries)
	return set, nil, err
}

func (m Maker) licensing() licensing.Version {
	return licensing.Version{Source: m.Source, Tree: m.Tree}
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
func (m Maker) write(ctx context.Context, item format.Item, set license.Set, dir string) error {
	plain, zipped := map[string][]byte{}, map[string][]byte{pkgdef.DocPackaging: []byte(deb.Changelog(item))}
	var err error
	if plain[pkgdef.DocCopyright], plain[pkgdef.DocThirdParty], err = m.legal(set); err != nil {
		return err
	}
	if item.Package.HasProgram() {
		if zipped[pkgdef.DocManual], plain[pkgdef.DocCompletion], err = m.manual(ctx, item); err != nil {
			return err
		}
		if item.Package.Plugin != nil {
			delete(plain, pkgdef.DocCompletion)
		}
	}
	if plain[pkgdef.DocLicense], err = m.upstream("LICENSE"); err != nil {
		return err
	}
	if m.Source.Changelog != "" {
		if zipped[pkgdef.DocChanges], err = m.upstream(m.Source.Changelog); err != nil {
			return err
		}
	}
	for name, content := range plain {
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

// legal are the texts about licenses: Debian's, and all of them.
func (m Maker) legal(set license.Set) (copyright, thirdParty []byte, err error) {
	var debian, all bytes.Buffer
	err = errors.Join(set.DEP5(&debian, m.licensing().Upstream()), set.ThirdParty(&all))
	return debian.Bytes(), all.Bytes(), err
}

// upstream reads one of upstream's texts.
func (m Maker) upstream(name string) ([]byte, error) {
	content, err := os.ReadFile(filepath.Join(m.Tree.Dir, name))
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
func (m Maker) manual(ctx context.Context, item format.Item) (page, completion []byte, err error) {
	text, err := os.ReadFile(item.Package.Manual)
	if err != nil {
		return nil, nil, fmt.Errorf("reading the manual: %w", err)
	}
	made := manual.Page{
		Text: string(text), Section: item.Package.ManSection(),
		Title: m.Source.Title, Version: m.Tree.FullVersion(), Date: m.Tree.Time,
	}
	if item.Package.Plugin != nil { // it has no help, and nobody types it
		made.Topic = item.Package.Name
		page, err = made.Man()
		return page, nil, err
	}
	program, err := m.program(item)
	if err != nil {
		return nil, nil, err
	}
	command, err := manual.Explore(ctx, program)
	if err != nil {
		return nil, nil, err
	}
	made.Command = command
	page, err = made.Man()
	return page, manual.Completion(command), err
}

// program is what is asked for its help. In place of a binary for another
// architecture it is the machine's own build of the same tree, if there is
// one: the help is the same, and an emulator takes two minutes for it.
func (m Maker) program(item format.Item) (manual.Program, error) {
	program := manual.Program{Path: item.Binary.Path, Name: item.Package.Binary()}
	if item.Binary.Arch != runtime.GOARCH {
		if native, ok := m.Native(); ok {
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
