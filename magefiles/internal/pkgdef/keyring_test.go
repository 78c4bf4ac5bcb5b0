package pkgdef

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/golden"
)

// The real folders, expanded: what each keyring package installs.
func TestKeyringPayload(t *testing.T) {
	root, err := filepath.Abs(checkout)
	if err != nil {
		t.Fatal(err)
	}
	keyrings, err := LoadKeyrings(root)
	if err != nil {
		t.Fatal(err)
	}
	formats, versions := map[string]string{}, map[string]bool{}
	for _, k := range keyrings {
		formats[k.Name], versions[k.Version] = k.Format, true
		entries := k.Payload("TEXTS", someKeys())
		golden.Check(t, k.Name+".golden", listing(t, root, entries))
		checkPayload(t, k.Name, entries)
	}
	if want := map[string]string{"spire-archive-keyring": Deb, "spire-keys": APK, "spire-release": RPM}; !maps.Equal(formats, want) {
		t.Errorf("keyring packages %v, want %v", formats, want)
	}
	if len(versions) != 1 {
		t.Errorf("the keyring packages have not gone through the same changes: versions %v", versions)
	}
}

// Whatever reads the archive checks all that it can check.
func TestChecksAreOn(t *testing.T) {
	keyrings, err := LoadKeyrings(checkout)
	if err != nil {
		t.Fatal(err)
	}
	wants := map[string][]string{
		"/etc/apt/sources.list.d/spire.sources": {"Signed-By: /usr/share/keyrings/spire-archive-keyring.gpg", "URIs: https://example.org/spire/apt", "Types: deb deb-src"},
		"/etc/apt/preferences.d/spire.pref": {
			"Package: *\nPin: release o=SPIRE\nPin-Priority: -1",
			"Package: " + names(t, "spire-archive-keyring") + "\nPin: release o=SPIRE\nPin-Priority: 500",
		},
		"/etc/apk/repositories.d/spire.list": {"https://example.org/spire/apk"},
		"/etc/yum.repos.d/spire.repo":        {"gpgcheck=1", "repo_gpgcheck=1", "gpgkey=file:///etc/pki/rpm-gpg/RPM-GPG-KEY-spire"},
		"/etc/zypp/repos.d/spire.repo":       {"gpgcheck=1", "repo_gpgcheck=1", "pkg_gpgcheck=1", "gpgkey=file:///etc/pki/rpm-gpg/RPM-GPG-KEY-spire", "priority=120"},
	}
	for _, k := range keyrings {
		texts, err := k.Texts("https://example.org/spire", someKeys())
		if err != nil {
			t.Fatal(err)
		}
		for _, config := range k.Config {
			for _, section := range sections(string(texts[config.Path])) {
				for _, want := range wants[config.Path] {
					if !strings.Contains("\n"+section, "\n"+want+"\n") {
						t.Errorf("%s has no line %q in\n%s", config.Path, want, section)
					}
				}
			}
			delete(wants, config.Path)
		}
		if text := string(texts["/etc/yum.repos.d/spire.repo"]); k.Format == RPM {
			for _, want := range []string{"includepkgs=" + names(t, "spire-release"), "includepkgs=" + sourceNames(t)} {
				if strings.Count(text, "\n"+want+"\n") != 1 {
					t.Errorf("dnf's file does not have the line %q once:\n%s", want, text)
				}
			}
		}
	}
	if len(wants) > 0 {
		t.Errorf("these files are in no package: %v", wants)
	}
}

// names are those of all packages of the checkout, but for keyrings and what waits, and one
// more.
func names(t *testing.T, more string) string {
	t.Helper()
	packages, err := Load(checkout)
	if err != nil || len(packages) < 3 {
		t.Fatalf("%d packages, error %v", len(packages), err)
	}
	all := []string{more}
	for _, p := range packages {
		if strings.Contains(" "+sourceNames(t)+" ", " "+p.Source+" ") {
			all = append(all, p.Name)
		}
	}
	slices.Sort(all)
	return strings.Join(all, " ")
}

// sourceNames are those of all sources of the checkout that do not wait.
func sourceNames(t *testing.T) string {
	t.Helper()
	sources, err := Sources(checkout)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, source := range Ready(sources) {
		all = append(all, source.Name)
	}
	slices.Sort(all)
	return strings.Join(all, " ")
}

// sections are a file's parts that name a repository each: dnf's and zypper's
// begin with a name in brackets, the only one of apt's has none.
func sections(text string) []string {
	parts := strings.Split(text, "\n[")
	if len(parts) > 1 {
		return parts[1:]
	}
	return parts
}

const ring = "packages/ring/package.yaml"

// ringRepo is a small repository that has a keyring package too.
func ringRepo() repo {
	r := smallRepo()
	r[ring] = `keyring: deb
version: 2026.01.31
changes: First version.
section: misc
license: MIT
summary: keys
description: |
  They open it.
keys: /usr/share/keyrings/ring.gpg
config:
  - file: ring.sources
    path: /etc/apt/sources.list.d/ring.sources
`
	r["packages/ring/ring.sources"] = "URIs: @URL@/apt @URL@/more\nSigned-By: /usr/share/keyrings/ring.gpg\n"
	r["packages/ring/copyright"] = "mine\n"
	r["packages/ring/lintian-overrides"] = "# none\n"
	return r
}

// asRPM makes the small keyring package an rpm.
func asRPM(t *testing.T, r repo) {
	swap(ring, "keyring: deb", "keyring: rpm")(t, r)
	drop("packages/ring/lintian-overrides")(t, r)
}

// someKeys look like public keys to whoever looks at their beginning only.
func someKeys() Certificates {
	return Certificates{
		Binary: []byte("\x99one\x99two"), Armoured: []byte(strings.Repeat("-----BEGIN PGP PUBLIC KEY BLOCK-----\nabc\n-----END PGP PUBLIC KEY BLOCK-----\n", 2)),
		Raw: map[string][]byte{
			strings.Repeat("1", 40) + ".rsa.pub": []byte("-----BEGIN PUBLIC KEY-----\nabc\n-----END PUBLIC KEY-----\n"),
			strings.Repeat("2", 40) + ".rsa.pub": []byte("-----BEGIN PUBLIC KEY-----\ndef\n-----END PUBLIC KEY-----\n"),
		},
	}
}

func loadRing(t *testing.T, r repo) Keyring {
	t.Helper()
	keyrings, err := LoadKeyrings(r.write(t))
	if err != nil || len(keyrings) != 1 {
		t.Fatalf("%d keyring packages, error %v", len(keyrings), err)
	}
	return keyrings[0]
}

// Each kind of package is read by its own reader alone.
func TestKinds(t *testing.T) {
	root := ringRepo().write(t)
	packages, err := Load(root)
	if err != nil || len(packages) != 1 || packages[0].Name != "demo" {
		t.Errorf("packages with a program: %d, error %v", len(packages), err)
	}
	k := loadRing(t, ringRepo())
	if k.Name != "ring" || k.Format != Deb || !k.Time().Equal(time.Date(2026, 1, 31, 0, 0, 0, 0, time.UTC)) || k.Time().Location() != time.UTC {
		t.Errorf("keyring %+v of %v", k, k.Time())
	}
	r := ringRepo()
	set("units/ring/preset", "")(t, r)
	if _, err := Load(r.write(t)); err == nil || !strings.Contains(err.Error(), "units/ring belongs to no folder") {
		t.Errorf("units that no package ships: error %v", err)
	}
	if none, err := LoadKeyrings(smallRepo().write(t)); err != nil || len(none) != 0 {
		t.Errorf("keyring packages in a repository without: %v, error %v", none, err)
	}
}

// Each format gets the keys as it reads them, and the address wherever it is
// asked for.
func TestTexts(t *testing.T) {
	r, keys := ringRepo(), someKeys()
	for _, c := range []struct {
		format string
		keys   []byte
	}{{Deb, keys.Binary}, {RPM, keys.Armoured}} { // in this order: the second changes what the first has read
		format, want := c.format, string(c.keys)
		if format == RPM {
			asRPM(t, r)
		}
		k := loadRing(t, r)
		texts, err := k.Texts("https://example.org/x", keys)
		if err != nil {
			t.Fatal(err)
		}
		if got := string(texts[k.Keys]); got != want {
			t.Errorf("%s: keys %q, want %q", format, got, want)
		}
		if got, want := string(texts[k.Config[0].Path]), "URIs: https://example.org/x/apt https://example.org/x/more\nSigned-By: /usr/share/keyrings/ring.gpg\n"; got != want {
			t.Errorf("%s: configuration %q, want %q", format, got, want)
		}
		if len(texts) != 2 {
			t.Errorf("%s: texts %v", format, slices.Collect(maps.Keys(texts)))
		}
	}
}

// Whatever is no public key ends up in no package.
func TestNotKeys(t *testing.T) {
	const private = "-----BEGIN PGP PRIVATE KEY BLOCK-----\n"
	for name, c := range map[string]struct {
		change func(*Certificates)
		want   string
	}{
		"no binary keys":              {func(c *Certificates) { c.Binary = nil }, "binary"},
		"binary secret key":           {func(c *Certificates) { c.Binary[0] = 0x95 }, "binary"},
		"binary secret key, new form": {func(c *Certificates) { c.Binary[0] = 0xC5 }, "binary"},
		"armoured as binary":          {func(c *Certificates) { c.Binary = c.Armoured }, "binary"},
		"no armoured keys":            {func(c *Certificates) { c.Armoured = nil }, "armoured"},
		"binary as armoured":          {func(c *Certificates) { c.Armoured = c.Binary }, "armoured"},
		"private key":                 {func(c *Certificates) { c.Armoured = []byte(private) }, "armoured"},
		"private key behind the rest": {func(c *Certificates) { c.Armoured = append(c.Armoured, private...) }, "armoured"},
		"private key for apk": {func(c *Certificates) {
			c.Raw = map[string][]byte{strings.Repeat("1", 40) + ".rsa.pub": []byte("-----BEGIN PRIVATE KEY-----\n")}
		}, "no file of one public key"},
		"no key for apk": {func(c *Certificates) { c.Raw = nil }, "no key for apk"},
		"another file for apk": {func(c *Certificates) {
			c.Raw = map[string][]byte{"../x.rsa.pub": []byte("-----BEGIN PUBLIC KEY-----\n")}
		}, "no file of one public key"},
		"words before the keys": {func(c *Certificates) { c.Armoured = append([]byte("keys:\n"), c.Armoured...) }, "armoured"},
	} {
		keys := someKeys()
		c.change(&keys)
		_, err := loadRing(t, ringRepo()).Texts("https://example.org/x", keys)
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "ring") {
			t.Errorf("%s: the error does not say %q and of what: %v", name, c.want, err)
		}
	}
	present := someKeys()
	present.Binary[0] = 0xC6
	if _, err := loadRing(t, ringRepo()).Texts("https://example.org/x", present); err != nil {
		t.Errorf("a public key in the present format: %v", err)
	}
}

func TestTextsFail(t *testing.T) {
	k := loadRing(t, ringRepo())
	if _, err := k.Texts("https://example.org/", someKeys()); err == nil || !strings.Contains(err.Error(), "https://example.org/") {
		t.Errorf("an address with a slash at its end: %v", err)
	}
	if err := os.Remove(filepath.Join(k.dir, "ring.sources")); err != nil {
		t.Fatal(err)
	}
	if _, err := k.Texts("https://example.org", someKeys()); err == nil || !strings.Contains(err.Error(), "ring.sources") {
		t.Errorf("a template that has gone: %v", err)
	}
}

func TestBadKeyrings(t *testing.T) {
	const sources = "packages/ring/ring.sources"
	for name, c := range map[string]struct {
		change func(*testing.T, repo)
		want   []string // in the error
	}{
		"unknown key":                {swap(ring, "section: misc", "section: misc\nsektion: misc"), []string{ring, "field sektion not found"}},
		"a program's key":            {swap(ring, "section: misc", "section: misc\nsource: up"), []string{ring, "field source not found"}},
		"two documents":              {swap(ring, "keyring: deb", "keyring: deb\n---\nkeyring: deb"), []string{ring, "more than one document"}},
		"unknown format":             {swap(ring, "keyring: deb", "keyring: snap"), []string{ring, `keyring "snap"`}},
		"no version":                 {swap(ring, "version: 2026.01.31\n", ""), []string{ring, `version ""`}},
		"day that is none":           {swap(ring, "2026.01.31", "2026.02.31"), []string{ring, `"2026.02.31"`}},
		"short day":                  {swap(ring, "2026.01.31", "2026.1.31"), []string{ring, `"2026.1.31"`}},
		"day and more":               {swap(ring, "2026.01.31", "2026.01.31.1"), []string{ring, `"2026.01.31.1"`}},
		"day of hyphens":             {swap(ring, "2026.01.31", "2026-01-31"), []string{ring, `version "2026-01-31"`}},
		"no changes":                 {swap(ring, "changes: First version.\n", ""), []string{ring, "changes is missing"}},
		"changes of two lines":       {swap(ring, "changes: First version.", `changes: "a\nb"`), []string{ring, `changes "a\nb"`}},
		"changes that are too long":  {swap(ring, "changes: First version.", "changes: "+strings.Repeat("x", 77)), []string{ring, "has 77 bytes: a line of a Debian changelog has room for 76"}},
		"no license":                 {swap(ring, "license: MIT\n", ""), []string{ring, "license is missing"}},
		"no section":                 {swap(ring, "section: misc\n", ""), []string{ring, "section is missing"}},
		"summary with a full stop":   {swap(ring, "summary: keys", "summary: keys."), []string{ring, `summary "keys."`}},
		"no keys":                    {swap(ring, "keys: /usr/share/keyrings/ring.gpg\n", ""), []string{ring, `path ""`}},
		"keys that apt always takes": {swap(ring, "keys: /usr/share/keyrings/ring.gpg", "keys: /etc/apt/trusted.gpg.d/ring.gpg"), []string{ring, `"/etc/apt/trusted.gpg.d/ring.gpg"`}},
		"keys that climb":            {swap(ring, "keys: /usr/share/keyrings/ring.gpg", "keys: /usr/share/keyrings/../ring.gpg"), []string{ring, "/../"}},
		"config not below /etc":      {swap(ring, "path: /etc/apt/", "path: /usr/share/"), []string{ring, `"/usr/share/sources.list.d/ring.sources"`}},
		"config file not there":      {drop(sources), []string{ring, "ring.sources"}},
		"config file is a link":      {set(sources, "-> copyright"), []string{ring, "ring.sources", "not a regular file"}},
		"config file elsewhere":      {swap(ring, "file: ring.sources", "file: ../demo/demo.conf"), []string{ring, "../demo/demo.conf"}},
		"config without an address":  {set(sources, "URIs: https://example.org\nSigned-By: /usr/share/keyrings/ring.gpg\n"), []string{ring, "ring.sources does not say @URL@"}},
		"pin without names":          {set(sources, "Package: sudo\nPin: release o=@ORIGIN@\n"), []string{ring, "ring.sources does not say @PACKAGES@"}},
		"config without the keys":    {set(sources, "URIs: @URL@\nTrusted: yes\n"), []string{ring, "ring.sources does not say /usr/share/keyrings/ring.gpg"}},
		"no copyright":               {drop("packages/ring/copyright"), []string{ring, "copyright"}},
		"copyright is a link":        {set("packages/ring/copyright", "-> ring.sources"), []string{ring, "copyright", "not a regular file"}},
		"deb without overrides":      {drop("packages/ring/lintian-overrides"), []string{ring, "lintian-overrides"}},
		"rpm with overrides":         {swap(ring, "keyring: deb", "keyring: rpm"), []string{"packages/ring/lintian-overrides", "no list of package.yaml"}},
		"stray file":                 {set("packages/ring/ring.gpg", ""), []string{"packages/ring/ring.gpg", "no list of package.yaml"}},
		"bad name":                   {set("packages/Ri_ng/package.yaml", "keyring: deb\n"), []string{"packages/Ri_ng", "lower-case"}},
	} {
		t.Run(name, func(t *testing.T) {
			r := ringRepo()
			c.change(t, r)
			_, err := LoadKeyrings(r.write(t))
			if err == nil {
				t.Fatal("it was taken")
			}
			for _, want := range c.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("the error does not say %q:\n%v", want, err)
				}
			}
		})
	}
}

func TestCheckURL(t *testing.T) {
	for url, good := range map[string]bool{
		"https://example.org": true, "https://example.org/spire": true, "https://a.b-c.example.org:8443/x/y_z/~me/v1.2": true,
		"https://spiffe-experimental.github.io/spire-packages": true, "https://192.0.2.7": true,
		"http://127.0.0.1": true, "http://127.0.0.1:8080": true, "http://localhost:8080/spire": true,
		"": false, "example.org": false, "https://": false, "https:///x": false, "ftp://example.org": false, "file:///srv": false,
		"http://example.org": false, "http://127.0.0.1.example.org": false, "http://localhost.example.org": false, "http://127.0.0.2": false,
		"https://example.org/": false, "https://example.org/x/": false, "https://example.org//x": false, "https://example.org/../x": false, "https://example.org/.x": false,
		"https://example.org/a b": false, "https://example.org/\"": false, "https://example.org/'": false, "https://example.org/x\n": false, "https://example.org\nTrusted: yes": false,
		"https://example.org/$basearch": false, "https://example.org/%2e": false, "https://example.org/?x": false, "https://example.org/#x": false, "https://me:secret@example.org": false,
		"https://example.org:0": false, "https://example.org:": false, "https://example.org:123456": false, "https://-x.org": false, "https://x.": false, "HTTPS://example.org": false, "https://EXAMPLE.org": false, " https://example.org": false,
	} {
		if err := CheckURL(url); good != (err == nil) {
			t.Errorf("%q: error %v", url, err)
		}
	}
}
