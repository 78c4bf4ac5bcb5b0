// Package format turns a package's description, its payload and its binary
// into one file per package format. It is the only importer of nfpm; a new
// format is a new row in formats.
package format

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"

	"github.com/goreleaser/nfpm/v2"
	_ "github.com/goreleaser/nfpm/v2/deb" // registers itself
	"github.com/goreleaser/nfpm/v2/files"
	_ "github.com/goreleaser/nfpm/v2/rpm" // registers itself

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

// row is one format: where its rules differ from what all have in common.
type row struct {
	// dress adds the format's own fields to the common ones, and found what its
	// own tools find out by themselves when they build a package, and nfpm does
	// not.
	dress, found func(*nfpm.Info, Item)
	// mend changes what nfpm has written, where it cannot be told better.
	mend func(content []byte, item Item) ([]byte, error)
	// scriptlets says which of the format's scriptlets is which of nfpm's.
	scriptlets func(*nfpm.Scripts) map[string]*string
	// types are the format's words for the kinds of entries.
	types map[pkgdef.Kind]string
}

var formats = map[string]row{
	pkgdef.Deb: {dress: dressDeb, found: foundDeb, mend: mendDeb, scriptlets: debScriptlets, types: map[pkgdef.Kind]string{
		pkgdef.File: files.TypeFile, pkgdef.Conf: files.TypeConfigNoReplace, pkgdef.Dir: files.TypeDir,
		// A deb has no such kinds, and nfpm leaves such entries out of one.
		pkgdef.Doc: files.TypeFile, pkgdef.License: files.TypeFile,
	}},
	pkgdef.RPM: {dress: dressRPM, found: foundRPM, mend: mendRPM, scriptlets: rpmScriptlets, types: map[pkgdef.Kind]string{
		pkgdef.File: files.TypeFile, pkgdef.Conf: files.TypeConfigNoReplace, pkgdef.Dir: files.TypeDir,
		pkgdef.Doc: files.TypeRPMDoc, pkgdef.License: files.TypeRPMLicense, pkgdef.Ghost: files.TypeRPMGhost,
	}},
}

// Names are the formats there are, in order.
func Names() []string { return slices.Sorted(maps.Keys(formats)) }

// FileName is the name that the format's users expect, such as
// spire-agent_1.13.3-1_amd64.deb.
func FileName(format string, item Item) (string, error) {
	packager, err := nfpm.Get(format)
	if err != nil {
		return "", fmt.Errorf("naming %s: %w", item.Package.Name, err)
	}
	return packager.ConventionalFileName(nfpm.WithDefaults(info(format, item))), nil
}

// Key names everything that the file's bytes depend on. digest gives a
// file's SHA-256.
func Key(format string, item Item, digest func(path string) (string, error)) (string, error) {
	parts := []any{packer(), format, *info(format, item), item.Scriptlets, changelog(item), SourceRPM(item)}
	if item.Packed != "" {
		sum, err := digest(item.Packed)
		if err != nil {
			return "", fmt.Errorf("reading the compressed program of %s: %w", item.Package.Name, err)
		}
		parts = append(parts, sum)
	}
	for _, content := range contents(format, item) {
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
func Write(w io.Writer, format string, item Item, scratch string) error {
	packager, err := nfpm.Get(format)
	if err != nil {
		return fmt.Errorf("packaging %s: %w", item.Package.Name, err)
	}
	info := info(format, item)
	info.Contents = contents(format, item)
	if err := writeTexts(info, format, item, scratch); err != nil {
		return fmt.Errorf("packaging %s as %s: %w", item.Package.Name, format, err)
	}
	info = nfpm.WithDefaults(info)
	if err := nfpm.PrepareForPackager(info, format); err != nil {
		return fmt.Errorf("packaging %s as %s: %w", item.Package.Name, format, err)
	}
	if err := write(w, packager, info, formats[format].mend, item); err != nil {
		return fmt.Errorf("packaging %s as %s: %w", item.Package.Name, format, err)
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

// Facts are what the package says of itself in the given format. The item
// needs no binary.
func Facts(format string, item Item) pkgdef.Facts {
	info := told(format, item)
	return pkgdef.Facts{
		License: info.License, Description: description(item),
		Depends: info.Depends, Recommends: info.Recommends, Provides: info.Provides, Replaces: info.Replaces,
		Breaks: info.Deb.Breaks, Fields: info.Deb.Fields, Group: info.RPM.Group,
	}
}

// info is all that is said of the package itself.
func info(format string, item Item) *nfpm.Info {
	info := told(format, item)
	formats[format].found(info, item)
	return info
}

// told is what must be said of the package because no tool finds it out. It is
// made afresh for each use, because nfpm changes what it is given.
func told(format string, item Item) *nfpm.Info {
	p, s := item.Package, item.Source
	info := &nfpm.Info{
		Name: p.Name, Arch: item.Binary.Arch, Platform: "linux",
		Version: item.Tree.Version, VersionSchema: "none", Release: strconv.Itoa(s.Release),
		Section: p.Section, Priority: "optional", Maintainer: s.Maintainer, Vendor: s.Vendor,
		Homepage: s.Homepage, License: item.License, Description: description(item),
		MTime: item.Tree.Time.UTC(), DisableGlobbing: true,
	}
	info.Recommends = slices.Clone(p.Recommends)
	if !item.Tree.Verified {
		info.Prerelease = artifact.Unverified
	}
	formats[format].dress(info, item)
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

// version is the full version as dependencies name it. Both formats write a
// prerelease with a tilde.
func version(item Item) string {
	return item.Tree.Label() + "-" + strconv.Itoa(item.Source.Release)
}

func contents(format string, item Item) files.Contents {
	var contents files.Contents
	for _, entry := range item.Payload {
		contents = append(contents, &files.Content{
			Source: entry.From, Destination: entry.Path, Type: formats[format].types[entry.Kind],
			FileInfo: &files.ContentFileInfo{Owner: "root", Group: "root", Mode: entry.Mode, MTime: item.Tree.Time.UTC()},
		})
	}
	return contents
}

// writeTexts writes the scriptlets and the changelog as files for nfpm.
func writeTexts(info *nfpm.Info, format string, item Item, scratch string) error {
	slots := formats[format].scriptlets(&info.Scripts)
	for name, text := range item.Scriptlets {
		slot, ok := slots[name]
		if !ok {
			return fmt.Errorf("%s has no scriptlet %q", format, name)
		}
		*slot = filepath.Join(scratch, name)
		if format == pkgdef.RPM {
			text = strings.TrimRight(text, "\n") // as rpmbuild does
		}
		if err := os.WriteFile(*slot, []byte(text), 0o644); err != nil {
			return fmt.Errorf("writing scriptlet %s: %w", name, artifact.Explain(err, *slot))
		}
	}
	if format != pkgdef.RPM {
		return nil // a deb's changelog is a file of its payload
	}
	info.Changelog = filepath.Join(scratch, "changelog.yaml")
	return os.WriteFile(info.Changelog, []byte(changelog(item)), 0o644)
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
