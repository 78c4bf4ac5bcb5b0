package kit

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"

	"github.com/goreleaser/nfpm/v2"
	"github.com/goreleaser/nfpm/v2/files"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/artifact"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pkgdef"
)

// Item is all that goes into one package file.
type Item struct {
	Source  pkgdef.Source
	Package pkgdef.Package
	Tree    artifact.Tree
	Binary  artifact.Binary
	// Unpinned says that another C compiler made the binary than the one that the
	// source names.
	Unpinned bool
	// Packed is an .xz file of the binary, which every format takes as it is;
	// empty where there is no binary, or a small one.
	Packed  string
	Payload []pkgdef.Entry
	License string // SPDX expression
	// Modules are the Go modules linked into the binary, as path@version.
	Modules []string
	// Changes is the changelog's one line, where it is not SPIRE's version.
	Changes string
	// Scriptlets are the rendered texts by the format's own names for them.
	Scriptlets map[string]string
}

// form is raised when this program comes to make other bytes of the same item, or what was
// built before would stay: since 2, a deb's control files are compressed by xz.
const form = 2

// Key names everything that the file's bytes depend on. digest gives a
// file's SHA-256.
func (f Format) Key(item Item, digest func(path string) (string, error)) (string, error) {
	parts := []any{packer(), form, f.Name, *f.info(item), item.Scriptlets, item.Source.Name, item.Source.Title, item.Changes}
	if item.Packed != "" {
		sum, err := digest(item.Packed)
		if err != nil {
			return "", fmt.Errorf("reading the compressed program of %s: %w", item.Package.Name, err)
		}
		parts = append(parts, sum)
	}
	for _, content := range f.contents(item) {
		sum := ""
		if content.Source != "" {
			var err error
			if sum, err = digest(content.Source); err != nil {
				return "", fmt.Errorf("reading the payload of %s: %w", item.Package.Name, err)
			}
		}
		content.Source = "" // its place is the machine's own
		parts = append(parts, content, sum)
	}
	return artifact.Key(parts...), nil
}

// Write writes the package to w. scratch is an empty folder for texts that
// nfpm wants as files.
func (f Format) Write(w io.Writer, item Item, scratch string) error {
	packager, err := nfpm.Get(f.Name)
	if err != nil {
		return fmt.Errorf("packaging %s: %w", item.Package.Name, err)
	}
	info := f.info(item)
	info.Contents = f.contents(item)
	if f.Packing.Hollow && item.Packed != "" {
		if err := hollow(info.Contents, item); err != nil {
			return fmt.Errorf("packaging %s as %s: %w", item.Package.Name, f.Name, err)
		}
	}
	if err := f.writeTexts(info, item, scratch); err != nil {
		return fmt.Errorf("packaging %s as %s: %w", item.Package.Name, f.Name, err)
	}
	info = nfpm.WithDefaults(info)
	if err := nfpm.PrepareForPackager(info, f.Name); err != nil {
		return fmt.Errorf("packaging %s as %s: %w", item.Package.Name, f.Name, err)
	}
	if err := write(w, packager, info, f.Packing.Mend, item); err != nil {
		return fmt.Errorf("packaging %s as %s: %w", item.Package.Name, f.Name, err)
	}
	return nil
}

// hollow puts a file of zeros, which takes no room, in the place of the item's program: to
// read, compress and sum up one of 168 MB once more for each format takes seconds. All
// formats have the same file, which is in memory after the first.
func hollow(contents files.Contents, item Item) error {
	info, err := os.Stat(item.Binary.Path)
	if err != nil {
		return err
	}
	zeros := item.Packed + ".zeros"
	file, err := os.OpenFile(zeros, os.O_CREATE|os.O_WRONLY, 0o644)
	if err == nil {
		err = errors.Join(file.Truncate(info.Size()), file.Close())
	}
	if err != nil {
		return fmt.Errorf("making room for the program: %w", artifact.Explain(err, zeros))
	}
	for _, content := range contents {
		if content.Source == item.Binary.Path {
			content.Source = zeros
		}
	}
	return nil
}

// write mends what nfpm writes. nfpm holds a package whole in any case.
func write(w io.Writer, packager nfpm.Packager, info *nfpm.Info, mend func([]byte, Item) ([]byte, error), item Item) error {
	var written bytes.Buffer
	if err := packager.Package(info, &written); err != nil {
		return err
	}
	mended, err := mend(written.Bytes(), item)
	if err != nil {
		return err
	}
	_, err = w.Write(mended)
	return err
}

// Facts are what the package says of itself in the format. The item
// needs no binary.
func (f Format) Facts(item Item) pkgdef.Facts {
	info := f.told(item)
	return pkgdef.Facts{
		License: info.License, Description: description(item),
		Depends: info.Depends, Recommends: info.Recommends, Suggests: info.Suggests, Provides: info.Provides, Replaces: info.Replaces,
		Breaks: info.Deb.Breaks, Fields: info.Deb.Fields, Group: info.RPM.Group,
	}
}

// info is all that is said of the package itself.
func (f Format) info(item Item) *nfpm.Info {
	info := f.told(item)
	f.Packing.Found(info, item)
	return info
}

// told is what must be said of the package because no tool finds it out. It is
// made afresh for each use, because nfpm changes what it is given.
func (f Format) told(item Item) *nfpm.Info {
	p, s := item.Package, item.Source
	info := &nfpm.Info{
		Name: p.Name, Arch: item.Binary.Arch, Platform: "linux",
		Version: item.Tree.Version, VersionSchema: "none", Release: strconv.Itoa(s.Release),
		Section: p.Section, Priority: "optional", Maintainer: s.Maintainer, Vendor: s.Vendor,
		Homepage: s.Homepage, License: item.License, Description: description(item),
		MTime: item.Tree.Time.UTC(), DisableGlobbing: true,
	}
	info.Recommends, info.Suggests = slices.Clone(p.Recommends), slices.Clone(p.Suggests)
	if !item.Tree.Verified {
		info.Prerelease = artifact.Unverified
	}
	f.Packing.Dress(info, item)
	if plugin := p.Plugin; plugin != nil {
		info.Depends = append(info.Depends, f.Packing.AtLeast(plugin.Host(), plugin.SPIRE))
	}
	return info
}

// description is the long text, without the summary.
func description(item Item) string {
	text := strings.TrimSpace(item.Package.Description)
	if !item.Tree.Verified {
		text += "\n\nBUILT FROM UNVERIFIED SOURCE: no checksum database vouches for it."
	}
	if item.Unpinned {
		text += "\n\nBUILT WITH ANOTHER C COMPILER than the one that its source names: others cannot make the same, bit for bit."
	}
	return text
}

// InOneLine is a description for formats in which it is one line: the summary, and what
// makes the package another one than the definition's.
func (item Item) InOneLine(description string) string {
	more := strings.TrimPrefix(description, strings.TrimSpace(item.Package.Description))
	if more == "" {
		return item.Package.Summary
	}
	return strings.Join(strings.Fields(item.Package.Summary+". "+more), " ")
}

// Version is the full version as dependencies name it. All formats write a
// prerelease with a tilde.
func (item Item) Version() string {
	return item.Tree.FullVersion() + "-" + strconv.Itoa(item.Source.Release)
}

func (f Format) contents(item Item) files.Contents {
	var contents files.Contents
	for _, entry := range item.Payload {
		contents = append(contents, &files.Content{
			Source: entry.From, Destination: entry.Path, Type: f.Packing.Types[entry.Kind],
			FileInfo: &files.ContentFileInfo{Owner: "root", Group: "root", Mode: entry.Mode, MTime: item.Tree.Time.UTC()},
		})
	}
	return contents
}

// writeTexts writes the scriptlets and the changelog as files for nfpm.
func (f Format) writeTexts(info *nfpm.Info, item Item, scratch string) error {
	slots := f.Packing.Scriptlets(info)
	for name, text := range item.Scriptlets {
		slot, ok := slots[name]
		if !ok {
			return fmt.Errorf("%s has no scriptlet %q", f.Name, name)
		}
		*slot = filepath.Join(scratch, name)
		if f.Packing.Script != nil {
			text = f.Packing.Script(text)
		}
		if err := os.WriteFile(*slot, []byte(text), 0o644); err != nil {
			return fmt.Errorf("writing scriptlet %s: %w", name, artifact.Explain(err, *slot))
		}
		// An apk says when its scriptlets were written.
		if err := os.Chtimes(*slot, item.Tree.Time, item.Tree.Time); err != nil {
			return fmt.Errorf("dating scriptlet %s: %w", name, err)
		}
	}
	if f.Packing.Changelog == nil {
		return nil
	}
	info.Changelog = filepath.Join(scratch, "changelog.yaml")
	return os.WriteFile(info.Changelog, []byte(f.Packing.Changelog(item)), 0o644)
}

// packer names the modules that this program is built with: beside nfpm, what
// it compresses and archives with decides the bytes.
func packer() []string {
	build, ok := debug.ReadBuildInfo()
	if !ok {
		return nil
	}
	var modules []string
	for _, module := range build.Deps {
		modules = append(modules, module.Path+"@"+module.Version)
	}
	return modules
}

// FileName is the name that the format's users expect, such as
// spire-agent_1.13.3-1_amd64.deb.
func (f Format) FileName(item Item) (string, error) {
	packager, err := nfpm.Get(f.Name)
	if err != nil {
		return "", fmt.Errorf("naming %s: %w", item.Package.Name, err)
	}
	return packager.ConventionalFileName(nfpm.WithDefaults(f.info(item))), nil
}

// Note is the changelog's one line.
func (item Item) Note() string {
	if item.Changes != "" {
		return item.Changes
	}
	text := item.Source.Title + " " + item.Tree.Version + "."
	if !item.Tree.Verified {
		text = item.Source.Title + " from a local directory, " + artifact.Unverified + "."
	}
	return text
}
