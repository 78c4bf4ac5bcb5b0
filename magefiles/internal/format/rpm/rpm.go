// Package rpm is the format of Fedora, Enterprise Linux, SUSE and those that come of them.
package rpm

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/cavaliergopher/cpio"
	"github.com/goreleaser/nfpm/v2"
	"github.com/goreleaser/nfpm/v2/files"
	_ "github.com/goreleaser/nfpm/v2/rpm" // registers itself

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/architecture"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/format/kit"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pkgdef"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pkgdef/scriptlets"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/rpmfile"
)

// Format is that of rpms.
var Format = kit.Format{
	Name: pkgdef.RPM, Separator: ".", Suffix: ".rpm",
	Every: "noarch", Arch: func(a architecture.Architecture) string { return a.RPM },
	PURL: "rpm", MediaType: "application/x-rpm",
	Clients: []string{"dnf", "zypper"},
	Logs:    []string{"/var/log/dnf.log", "/var/log/dnf.rpm.log", "/var/log/dnf5.log", "/var/log/zypp/history"},
	Layout:  pkgdef.RPMLayout, Scripts: scriptlets.Templates(pkgdef.RPM),
	Signed: signed, Unpack: read, NameItem: "field NAME",
	Packing: kit.Packing{
		AtLeast: func(name, version string) string { return name + " >= " + version },
		Dress:   dress, Found: found, Hollow: true, Mend: mend, Scriptlets: slots, Changelog: changelog,
		Script: func(text string) string { return strings.TrimRight(text, "\n") }, // as rpmbuild does
		Types: map[pkgdef.Kind]string{
			pkgdef.File: files.TypeFile, pkgdef.Conf: files.TypeConfigNoReplace, pkgdef.Dir: files.TypeDir,
			pkgdef.Doc: files.TypeRPMDoc, pkgdef.License: files.TypeRPMLicense, pkgdef.Ghost: files.TypeRPMGhost,
		},
	},
}

// signed are all rpms, with those of sources.
var signed = []kit.Signed{{
	Suffix: ".rpm",
	Sign:   func(ctx context.Context, by kit.Signer, from, to string) error { return by.RPM(ctx, from, to) },
	Verify: func(ctx context.Context, by kit.Verifier, file string) error { return by.RPM(ctx, file) },
}}

// buildHost stands in for the name of the machine, which is no business of the
// package's.
const buildHost = "spire-packages"

func dress(info *nfpm.Info, item kit.Item) {
	info.RPM.Summary = item.Package.Summary
	info.RPM.Group = "System Environment/Daemons"
	if item.Binary.Arch == pkgdef.EveryArch {
		info.RPM.Group = item.Package.Section
	}
	info.RPM.BuildHost = buildHost
	info.RPM.Compression = kit.Draft
	for _, user := range item.Package.Units.Users {
		info.Provides = append(info.Provides, userProvide(user), "group("+user.Name+")")
	}
	if len(item.Package.Units.Users) > 0 {
		// One of systemd-sysusers and useradd, under the names they have.
		info.Depends = append(info.Depends, "(systemd or systemd-standalone-sysusers or shadow-utils or shadow)")
	}
	for _, other := range item.Package.Succeeds {
		info.Replaces = append(info.Replaces, other)
		info.Provides = append(info.Provides, other+" = "+item.Version())
	}
	for _, module := range item.Modules {
		info.Provides = append(info.Provides, bundled(module))
	}
}

// bundled is how Fedora's guidelines want a vendored module declared. A
// version of an rpm has no hyphens; the tilde sorts a Go pre-release before its
// release, as Go does.
func bundled(module string) string {
	path, version, _ := strings.Cut(module, "@")
	return fmt.Sprintf("bundled(golang(%s)) = %s", path, strings.ReplaceAll(strings.TrimPrefix(version, "v"), "-", "~"))
}

// foundRPM adds what rpmbuild finds out.
func found(info *nfpm.Info, item kit.Item) {
	full := item.Version()
	info.Provides = append(info.Provides, info.Name+" = "+full)
	if isa := architecture.Of(item.Binary.Arch).ISA; isa != "" {
		info.Provides = append(info.Provides, fmt.Sprintf("%s(%s) = %s", info.Name, isa, full))
	}
	if hasConfig(item.Payload) {
		config := fmt.Sprintf("config(%s) = %s", info.Name, full)
		info.Provides, info.Depends = append(info.Provides, config), append(info.Depends, config)
	}
	if len(item.Scriptlets) > 0 {
		info.Depends = append(info.Depends, "/bin/sh")
	}
	info.Depends = append(info.Depends, xzRequirement)
}

// SourceRPM is the file name of the source package that the item's package is
// built from.
func SourceRPM(item kit.Item) string {
	return item.Source.Name + "-" + item.Version() + ".src.rpm"
}

// xzRequirement is what an rpm requires of rpm (rpm's lib/rpmds.c).
const xzRequirement = "rpmlib(PayloadIsXz) <= 5.2-1"

// entries are those of the payload.
func entries(r io.Reader) kit.Archive {
	return kit.Entries(cpio.NewReader(r), func(h *cpio.Header) (string, int64) { return h.Name, h.Size })
}

// mend compresses the payload in nfpm's stead, and says the program's checksum. It names the source package, for
// which nfpm only knows the binary package's own name, and makes ghosts
// configuration, for which it has no word.
func mend(content []byte, item kit.Item) ([]byte, error) {
	file, err := rpmfile.Read(content)
	if err != nil {
		return nil, err
	}
	sum := sha256.New()
	payload, err := kit.Repack(file.Payload(), entries, item, sum)
	if err != nil {
		return nil, err
	}
	if item.Packed != "" {
		if file, err = file.Summed(item.Package.Program(), hex.EncodeToString(sum.Sum(nil))); err != nil {
			return nil, err
		}
	}
	if file, err = file.Repacked(payload, "xz"); err != nil {
		return nil, err
	}
	file, err = file.Mended(SourceRPM(item))
	return file.Bytes(), err
}

func hasConfig(payload []pkgdef.Entry) bool {
	for _, entry := range payload {
		if entry.Kind == pkgdef.Conf {
			return true
		}
	}
	return false
}

// userProvide is the line from which rpm 4.19 and later makes the user by
// itself: the sysusers line in base64, padded with NUL bytes because a
// relation's version cannot hold base64's equals signs (rpm, sysusers.prov).
func userProvide(user scriptlets.SysusersLine) string {
	line := fmt.Sprintf("%s %s %s %q %s %s", user.Type, user.Name, user.ID, user.Gecos, user.Home, user.Shell)
	for len(line)%3 != 0 {
		line += "\x00"
	}
	return "user(" + user.Name + ") = " + base64.StdEncoding.EncodeToString([]byte(line))
}

func slots(info *nfpm.Info) map[string]*string {
	s := &info.Scripts
	return map[string]*string{"pre": &s.PreInstall, "post": &s.PostInstall, "preun": &s.PreRemove, "postun": &s.PostRemove}
}

// changelog is nfpm's input for the rpm's changelog (goreleaser/chglog's form).
func changelog(item kit.Item) string {
	var b strings.Builder
	fmt.Fprintf(&b, "- semver: %q\n", item.Version())
	fmt.Fprintf(&b, "  date: %s\n", item.Tree.Time.UTC().Format(time.RFC3339))
	fmt.Fprintf(&b, "  packager: %q\n", item.Source.Maintainer)
	fmt.Fprintf(&b, "  changes:\n    - note: %q\n", item.Note())
	return b.String()
}
