// Package apk is the format of Alpine Linux, Wolfi and those that come of them: the
// second version of it, which all of their package managers take.
package apk

import (
	"embed"
	"fmt"
	"io/fs"
	"strconv"

	"github.com/goreleaser/nfpm/v2"
	_ "github.com/goreleaser/nfpm/v2/apk" // registers itself
	"github.com/goreleaser/nfpm/v2/files"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/apkfile"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/architecture"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/format/kit"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pkgdef"
)

//go:embed scriptlets/*.sh.tmpl
var templates embed.FS

// Format is that of apks. Its machines have OpenRC; where there is none, as in a
// container of Wolfi, its scripts in /etc harm nobody.
var Format = kit.Format{
	Name: "apk", Extra: true, Separator: "_", Suffix: ".apk",
	Every: "noarch", Arch: func(a architecture.Architecture) string { return a.RPM }, // uname's, as rpm's are
	PURL: "apk", MediaType: "application/vnd.alpine.package",
	Layout: pkgdef.Layout{OpenRC: true, Texts: texts}, Scripts: scripts(),
	Signed: signed, Unpack: read, NameItem: nameItem,
	Packing: kit.Packing{
		AtLeast: func(name, version string) string { return name + ">=" + version },
		Dress:   dress, Found: found, Mend: mend, Scriptlets: slots,
		Types: map[pkgdef.Kind]string{
			// apk keeps whatever was changed in /etc, and so needs no word for it.
			pkgdef.File: files.TypeFile, pkgdef.Conf: files.TypeFile, pkgdef.Dir: files.TypeDir,
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

// texts go where Alpine's own packages have them.
func texts(docs, licenses string) map[string]pkgdef.Entry {
	return map[string]pkgdef.Entry{
		pkgdef.DocLicense:    {Path: licenses + "/" + pkgdef.DocLicense, Kind: pkgdef.License},
		pkgdef.DocThirdParty: {Path: licenses + "/" + pkgdef.DocThirdParty, Kind: pkgdef.License},
		pkgdef.DocChangelog:  {Path: docs + "/CHANGELOG.md", Kind: pkgdef.Doc},
	}
}

func dress(info *nfpm.Info, item kit.Item) {
	info.Description = item.InOneLine(info.Description)
	info.Release = "r" + info.Release
	if info.Prerelease != "" {
		// A word of one's own cannot be in a version: this is the one for what is older
		// than the release. The description says what it is.
		info.Prerelease = "pre"
	}
	if len(item.Scriptlets) > 0 {
		info.Depends = append(info.Depends, "/bin/sh")
	}
	if !item.Package.HasProgram() {
		// It has no weaker word for what a package without a program brings along.
		info.Depends = append(info.Depends, item.Package.Recommends...)
	}
	// Whose place the package takes elsewhere, nobody has here: no other packager has
	// made those for apk.
}

// found is what abuild finds: the commands that a package has.
func found(info *nfpm.Info, item kit.Item) {
	if !item.Package.HasProgram() {
		return
	}
	version := info.Version
	if info.Prerelease != "" {
		version += "_" + info.Prerelease
	}
	info.Provides = append(info.Provides, "cmd:"+item.Package.Binary()+"="+version+"-"+info.Release)
}

// mend adds what nfpm does not say.
func mend(content []byte, item kit.Item) ([]byte, error) {
	file, err := apkfile.Read(content)
	if err != nil {
		return nil, fmt.Errorf("reading what nfpm has written: %w", err)
	}
	file, err = file.WithFields(item.Tree.Time,
		apkfile.Field{Name: "origin", Value: item.Source.Name},
		apkfile.Field{Name: "builddate", Value: strconv.FormatInt(item.Tree.Time.Unix(), 10)},
		apkfile.Field{Name: "packager", Value: item.Source.Maintainer},
	)
	if err != nil {
		return nil, err
	}
	return file.Bytes()
}

func slots(info *nfpm.Info) map[string]*string {
	s, more := &info.Scripts, &info.APK.Scripts
	return map[string]*string{
		"pre-install": &s.PreInstall, "post-install": &s.PostInstall, "pre-deinstall": &s.PreRemove, "post-deinstall": &s.PostRemove,
		"pre-upgrade": &more.PreUpgrade, "post-upgrade": &more.PostUpgrade,
	}
}
