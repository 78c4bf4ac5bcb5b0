// Package archlinux is the format of Arch Linux and those that come of it.
package archlinux

import (
	"embed"
	"io/fs"

	"github.com/goreleaser/nfpm/v2"
	_ "github.com/goreleaser/nfpm/v2/arch" // registers itself
	"github.com/goreleaser/nfpm/v2/files"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/architecture"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/format/kit"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pkgdef"
)

// The functions of the .INSTALL, by their names there. pacman's own hooks do the rest:
// they make users and folders, and have systemd read its units again.
//
//go:embed scriptlets/*.sh.tmpl
var templates embed.FS

// Format is that of pacman's packages.
var Format = kit.Format{
	Name: "archlinux", Extra: true, Separator: "-", Suffix: ".pkg.tar.zst",
	Every: "any", Arch: func(a architecture.Architecture) string { return a.RPM }, // uname's, as rpm's are
	PURL: "alpm", MediaType: "application/zstd",
	Layout: pkgdef.Layout{Exclusive: true, Texts: texts}, Scripts: scripts(),
	Unpack: read, NameItem: nameItem,
	Packing: kit.Packing{
		AtLeast: func(name, version string) string { return name + ">=" + version },
		Dress:   dress, Found: func(*nfpm.Info, kit.Item) {}, Scriptlets: slots,
		Mend: func(content []byte, _ kit.Item) ([]byte, error) { return content, nil },
		Types: map[pkgdef.Kind]string{
			// It has no other kinds.
			pkgdef.File: files.TypeFile, pkgdef.Conf: files.TypeConfigNoReplace, pkgdef.Dir: files.TypeDir,
			pkgdef.Doc: files.TypeFile, pkgdef.License: files.TypeFile,
		},
	},
}

func scripts() fs.FS {
	own, err := fs.Sub(templates, "scriptlets")
	if err != nil {
		panic(err) // it is a path
	}
	return own
}

// texts go where Arch's guidelines want them.
func texts(docs, licenses string) map[string]pkgdef.Entry {
	return map[string]pkgdef.Entry{
		pkgdef.DocLicense:    {Path: licenses + "/" + pkgdef.DocLicense, Kind: pkgdef.License},
		pkgdef.DocThirdParty: {Path: licenses + "/" + pkgdef.DocThirdParty, Kind: pkgdef.License},
		pkgdef.DocChangelog:  {Path: docs + "/CHANGELOG.md", Kind: pkgdef.Doc},
	}
}

func dress(info *nfpm.Info, item kit.Item) {
	info.ArchLinux.Pkgbase, info.ArchLinux.Packager = item.Source.Name, item.Source.Maintainer
	info.Description = item.InOneLine(info.Description)
	// A tilde cannot be in a version; letters after a number are older than none.
	info.Version, info.Prerelease = info.Version+info.Prerelease, ""
	// Whose place the package takes elsewhere, nobody has here: no other packager has
	// made those for pacman.
}

func slots(info *nfpm.Info) map[string]*string {
	s, more := &info.Scripts, &info.ArchLinux.Scripts
	return map[string]*string{
		"pre_install": &s.PreInstall, "post_install": &s.PostInstall, "pre_remove": &s.PreRemove, "post_remove": &s.PostRemove,
		"pre_upgrade": &more.PreUpgrade, "post_upgrade": &more.PostUpgrade,
	}
}
