// Package deb is the format of Debian and those that come of it.
package deb

import (
	"strings"

	"github.com/goreleaser/nfpm/v2"
	_ "github.com/goreleaser/nfpm/v2/deb" // registers itself
	"github.com/goreleaser/nfpm/v2/files"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/architecture"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/format/kit"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pkgdef"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pkgdef/scriptlets"
)

// Format is that of debs.
var Format = kit.Format{
	Name: pkgdef.Deb, Separator: "_", Suffix: ".deb",
	Every: "all", Arch: func(a architecture.Architecture) string { return a.Debian },
	PURL: "deb", MediaType: "application/vnd.debian.binary-package",
	Clients: []string{"apt"}, Logs: []string{"/var/log/dpkg.log", "/var/log/apt/history.log", "/var/log/apt/term.log"},
	Layout: pkgdef.DebLayout, Scripts: scriptlets.Templates(pkgdef.Deb),
	Signed: signed, Unpack: read, NameItem: "field Package",
	Packing: kit.Packing{
		AtLeast: func(name, version string) string { return name + " (>= " + version + ")" },
		Dress:   dress, Found: found, Hollow: true, Mend: mend, Scriptlets: slots,
		Types: map[pkgdef.Kind]string{
			pkgdef.File: files.TypeFile, pkgdef.Conf: files.TypeConfigNoReplace, pkgdef.Dir: files.TypeDir,
			// A deb has no such kinds, and nfpm leaves such entries out of one.
			pkgdef.Doc: files.TypeFile, pkgdef.License: files.TypeFile,
		},
	},
}

func dress(info *nfpm.Info, item kit.Item) {
	info.Description = item.Package.Summary + "\n" + info.Description
	info.Deb.Compression = kit.Draft
	info.Deb.Fields = map[string]string{
		"Multi-Arch": "foreign", // its interface is a command and sockets, the same on every architecture
	}
	if len(item.Package.Units.Users) > 0 {
		// The scriptlets make the users.
		info.Depends = append(info.Depends, "systemd | systemd-standalone-sysusers | systemd-sysusers")
	}
	for _, other := range item.Package.Succeeds {
		info.Replaces = append(info.Replaces, other)
		info.Provides = append(info.Provides, other)
		// Versioned, so that two of our packages that both provide the name do
		// not break each other: a provided name has no version to compare.
		info.Deb.Breaks = append(info.Deb.Breaks, other+" (<< 1000)")
	}
}

// foundDeb adds what dpkg-gencontrol and debian/rules find out.
func found(info *nfpm.Info, item kit.Item) {
	if item.Source.Name != item.Package.Name {
		info.Deb.Fields["Source"] = item.Source.Name
	}
	info.Deb.Fields["Static-Built-Using"] = strings.Join(item.Binary.Linked, ", ")
}

func slots(info *nfpm.Info) map[string]*string {
	s := &info.Scripts
	return map[string]*string{"postinst": &s.PostInstall, "prerm": &s.PreRemove, "postrm": &s.PostRemove}
}

// Changelog is the packaging's own changelog in Debian's form. Its one entry
// is dated by the source, so that it is the same in every build.
func Changelog(item kit.Item) string {
	return item.Source.Name + " (" + item.Version() + ") stable; urgency=medium\n\n  * " + item.Note() +
		"\n\n -- " + item.Source.Maintainer + "  " + item.Tree.Time.UTC().Format("Mon, 02 Jan 2006 15:04:05 -0700") + "\n"
}
