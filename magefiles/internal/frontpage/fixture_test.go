package frontpage

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/architecture"
)

const (
	oldKey = "0123456789ABCDEF0123456789ABCDEF01234567"
	newKey = "89ABCDEF0123456789ABCDEF0123456789ABCDEF"
)

// site is a repository as it is after some months: three versions, two of them
// releases of one upstream version, for all architectures, and two of another source.
func site(t *testing.T) Site {
	t.Helper()
	const url = "https://packages.example.org/spire"
	return Site{
		URL: url, Project: "https://github.com/spiffe-experimental/spire-packages",
		Keys:      []Key{{oldKey, day(2029, time.November, 24)}},
		Keyring:   keyring("2026.11.24-1"),
		Sources:   sources(t, url),
		Main:      "spire",
		Published: day(2026, time.November, 24).Add(20*time.Hour + 31*time.Minute),
		Ends:      day(2026, time.December, 8).Add(20*time.Hour + 31*time.Minute),
		Versions: []Version{
			version("1.13.3", 2, day(2026, time.November, 24), "191c76b489656502ff946afb486b47b83a376e81"),
			version("1.13.3", 1, day(2026, time.October, 24), "191c76b489656502ff946afb486b47b83a376e81"),
			version("1.12.2", 1, day(2026, time.May, 20), "a774de4df954306c00c787bec17f6f61bb0bab01"),
			helper("0.11.0", day(2026, time.November, 24)),
			helper("0.10.0", day(2026, time.May, 20)),
		},
	}
}

func day(year int, month time.Month, day int) time.Time {
	return time.Date(year, month, day, 0, 0, 0, 0, time.UTC)
}

// sources is the real file of the keyring package, as it is in a deb.
func sources(t *testing.T, url string) string {
	t.Helper()
	content, err := os.ReadFile("../../../packages/spire-archive-keyring/spire.sources")
	if err != nil {
		t.Fatal(err)
	}
	return strings.ReplaceAll(string(content), "@URL@", url)
}

func file(path string, kind Kind, pkg, arch string) File {
	sum := sha256.Sum256([]byte(path))
	size := 1000 + int64(sum[0])*int64(sum[1])*int64(sum[2])
	return File{Path: path, Kind: kind, Package: pkg, Arch: arch, SHA256: hex.EncodeToString(sum[:]), Size: size}
}

func keyring(label string) []File {
	return []File{
		file("apt/pool/main/s/spire-archive-keyring/spire-archive-keyring_"+label+"_all.deb", AsDeb, "spire-archive-keyring", "all"),
		file("rpm/x86_64/spire-release-"+label+".noarch.RPM", AsRPM, "spire-release", "noarch"),
		file("apk/x86_64/spire-keys-"+strings.Replace(label, "-", "-r", 1)+".apk", AsAPK, "spire-keys", "noarch"),
		file("apk/keys/"+strings.ToLower(oldKey)+".rsa.pub", AsKey, "", ""),
		file("spire-archive-keyring.asc", AsKey, "", ""),
		file("spire-archive-keyring.gpg", AsKey, "", ""),
	}
}

// version has all the files that a version is published with.
func version(number string, release int, published time.Time, commit string) Version {
	v := Version{Title: "SPIRE", Upstream: "https://github.com/spiffe/spire", Version: number, Release: release, Published: published, Commit: commit}
	label := v.Label()
	pool, files := "apt/pool/main/s/spire/", "files/"+label+"/"
	for _, name := range []string{"spire-server", "spire-agent", "spiffe-oidc-discovery-provider"} {
		for _, arch := range architecture.All() {
			deb := fmt.Sprintf("%s_%s_%s.deb", name, label, arch.Debian)
			rpm := fmt.Sprintf("%s-%s.%s.rpm", name, label, arch.RPM)
			v.Files = append(v.Files,
				file(pool+deb, AsDeb, name, arch.Debian), file("rpm/"+arch.RPM+"/"+rpm, AsRPM, name, arch.RPM),
				file(files+deb+".cdx.json", AsSBOM, name, arch.Debian), file(files+deb+".spdx.json", AsSBOM, name, arch.Debian),
				file(files+rpm+".cdx.json", AsSBOM, name, arch.RPM), file(files+rpm+".spdx.json", AsSBOM, name, arch.RPM),
			)
			if release > 1 { // the first had none
				apk := file(fmt.Sprintf("apk/%s/%s-%s-r%d.apk", arch.RPM, name, number, release), AsAPK, name, arch.RPM)
				apk.Released = fmt.Sprintf("%s_%s-r%d_%s.apk", name, number, release, arch.RPM)
				v.Files = append(v.Files, apk, file(files+apk.Released+".cdx.json", AsSBOM, name, arch.RPM))
			}
		}
	}
	for _, arch := range architecture.All() {
		v.Files = append(v.Files,
			file(files+"spire_"+label+"_"+arch.Go+".build.json", AsRecord, "spire", arch.Go),
			file(files+"spire_"+label+"_"+arch.Debian+".buildinfo", AsRecord, "spire", arch.Debian))
	}
	v.Files = append(v.Files,
		file(pool+"spire_"+label+".dsc", AsSource, "spire", ""),
		file(pool+"spire_"+number+".orig.tar.xz", AsSource, "spire", ""),
		file(pool+"spire_"+number+".orig-vendor.tar.xz", AsSource, "spire", ""),
		file(pool+"spire_"+label+".debian.tar.xz", AsSource, "spire", ""),
		file("rpm/source/spire-"+label+".src.rpm", AsSource, "spire", "src"),
		file(files+"spire_"+label+"_source.changes", AsRecord, "spire", ""),
		file(files+"spire_"+label+".intoto.json", AsProvenance, "spire", ""),
		file(files+"SHA256SUMS", AsSums, "spire", ""),
		file(files+"SHA256SUMS.asc", AsSignature, "spire", ""),
	)
	return v
}

// helper is a version of another source, with a few files.
func helper(number string, published time.Time) Version {
	v := Version{
		Source: "spiffe-helper", Title: "SPIFFE Helper", Upstream: "https://github.com/spiffe/spiffe-helper",
		Version: number, Release: 1, Published: published, Commit: "1d0551d63787b528926b3e17fac949a376040bec",
	}
	v.Files = []File{
		file("apt/pool/main/s/spiffe-helper/spiffe-helper_"+v.Full()+"_amd64.deb", AsDeb, "spiffe-helper", "amd64"),
		file("rpm/x86_64/spiffe-helper-"+v.Full()+".x86_64.rpm", AsRPM, "spiffe-helper", "x86_64"),
		file("files/"+v.Label()+"/SHA256SUMS", AsSums, "spiffe-helper", ""),
	}
	return v
}

// written is the page of a site.
func written(t *testing.T, s Site) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := Write(&b, s); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// rotating is the site while a new key takes the place of an old one.
func rotating(t *testing.T) Site {
	t.Helper()
	s := site(t)
	s.Keys = append(s.Keys, Key{Fingerprint: newKey, Ends: day(2031, time.June, 1)})
	return s
}
