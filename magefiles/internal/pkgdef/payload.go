package pkgdef

import (
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// Docs are the texts made for one package, version and architecture, as files
// in one folder under the names below.
type Docs struct {
	Dir       string
	Changelog bool // upstream's is among them
	// PluginEnv is what a plugin tells the units of SPIRE, which depends on its program:
	// a file elsewhere.
	PluginEnv string
}

// Names of the files in Docs.Dir. Those that are installed gzipped are there
// both ways: a source package carries the text, and its build zips it.
const (
	DocManual     = "manual.1" + Zipped
	DocCompletion = "completion.bash"
	DocCopyright  = "copyright"              // Debian's machine-readable form
	DocThirdParty = "THIRD-PARTY"            // every license, verbatim
	DocLicense    = "LICENSE"                // upstream's own
	DocChangelog  = "changelog"              // upstream's
	DocChanges    = "changelog" + Zipped     // upstream's, as Debian wants it
	DocPackaging  = "changelog.deb" + Zipped // the packaging's, as Debian wants it
)

// Zipped ends the name of a file that is gzipped.
const Zipped = ".gz"

// The formats of most distributions.
const (
	Deb = "deb"
	RPM = "rpm"
	APK = "apk"
)

// Layout is what formats differ in of what a package installs.
type Layout struct {
	// Texts says where the texts go that not all formats have, by their names in Docs;
	// it is given the package's folders for documentation and for licenses.
	Texts func(docs, licenses string) map[string]Entry
	// Lintian says that there are overrides for lintian.
	Lintian bool
	// Exclusive says that a file belongs to one package alone: a unit that several bring
	// is in a folder of each, and scriptlets put it in its place.
	Exclusive bool
	// AppArmor says that its machines have that, and look for profiles in /etc/apparmor.d.
	// Elsewhere a package has its own among the examples.
	AppArmor bool
	// OpenRC says that its machines have that in the place of systemd.
	OpenRC bool
	// Adopts says that the package speaks of configuration that it takes over, which would
	// go otherwise, and leaves the folders of configuration to their admin.
	Adopts bool
}

// DebLayout and RPMLayout are those of debs and rpms.
var (
	DebLayout = Layout{Lintian: true, Exclusive: true, AppArmor: true, Texts: func(docs, _ string) map[string]Entry {
		return map[string]Entry{
			DocCopyright: {Path: docs + "/copyright", Kind: File},
			DocChanges:   {Path: docs + "/changelog.gz", Kind: Doc},
			DocPackaging: {Path: docs + "/changelog.Debian.gz", Kind: Doc},
		}
	}}
	RPMLayout = Layout{Adopts: true, Texts: func(docs, licenses string) map[string]Entry {
		return map[string]Entry{
			DocLicense:    {Path: licenses + "/" + DocLicense, Kind: License},
			DocThirdParty: {Path: licenses + "/" + DocThirdParty, Kind: License},
			DocChangelog:  {Path: docs + "/CHANGELOG.md", Kind: Doc},
		}
	}}
)

// shared are the folders that belong to the distribution; all others that an
// entry is in belong to the package.
var shared = map[string]bool{
	"/": true, "/etc": true, "/etc/apk": true, "/etc/apk/keys": true, "/usr": true, "/usr/bin": true, "/usr/lib": true,
	"/etc/apparmor.d": true, "/etc/conf.d": true, "/etc/init.d": true, "/usr/lib/systemd": true, "/usr/lib/systemd/system": true, "/usr/lib/systemd/system-preset": true,
	"/usr/lib/sysusers.d": true, "/usr/lib/tmpfiles.d": true, "/usr/libexec": true, "/usr/share": true,
	"/usr/share/bash-completion": true, "/usr/share/bash-completion/completions": true,
	"/usr/share/doc": true, "/usr/share/licenses": true, "/usr/share/lintian": true, "/usr/share/lintian/overrides": true, "/usr/share/man": true, "/usr/share/man/man1": true, "/usr/share/man/man7": true,
}

// Payload lists everything that the package installs in a format, by path: what is
// fixed, the binary, the texts, and the folders that are the package's own.
func (p Package) Payload(format Layout, binary string, docs Docs) []Entry {
	entries := slices.Concat(p.Fixed, p.services(format))
	if p.HasProgram() {
		entries = append(entries, Entry{Path: p.Program(), Kind: File, Mode: 0o755, From: binary})
	}
	if p.Plugin != nil {
		entries = append(entries, Entry{Path: p.PluginEnv(), Kind: File, Mode: 0o644, From: docs.PluginEnv})
	}
	for name, entry := range p.docEntries(format) {
		if upstreams := name == DocChanges || name == DocChangelog; upstreams && !docs.Changelog {
			continue
		}
		entry.From, entry.Mode = filepath.Join(docs.Dir, name), 0o644
		entries = append(entries, entry)
	}
	if format.Lintian {
		entries = append(entries, Entry{Path: "/usr/share/lintian/overrides/" + p.Name, Kind: File, Mode: 0o644, From: p.Lintian})
	}
	entries = append(entries, ownDirs(entries)...)
	if format.Adopts {
		entries = slices.DeleteFunc(entries, ofConfiguration)
		for _, file := range p.Adopts {
			entries = append(entries, Entry{Path: file, Kind: Ghost, Mode: adoptedMode(file)})
		}
	}
	slices.SortFunc(entries, func(a, b Entry) int { return strings.Compare(a.Path, b.Path) })
	return entries
}

// Lay puts what is fixed of the package, and its units, into a folder, each where it would be below the root.
func (p Package) Lay(dir string) error { return p.lay(dir, slices.Concat(p.Fixed, p.Systemd)) }

// LayOpenRC does so with its services for OpenRC.
func (p Package) LayOpenRC(dir string) error { return p.lay(dir, p.OpenRC) }

func (p Package) lay(dir string, entries []Entry) error {
	for _, entry := range entries {
		content, err := os.ReadFile(entry.From)
		if err != nil {
			return fmt.Errorf("laying out %s: %w", p.Name, err)
		}
		place := filepath.Join(dir, filepath.FromSlash(entry.Path))
		if err := os.MkdirAll(filepath.Dir(place), 0o755); err != nil {
			return fmt.Errorf("laying out %s: %w", p.Name, err)
		}
		if err := os.WriteFile(place, content, entry.Mode); err != nil {
			return fmt.Errorf("laying out %s: %w", p.Name, err)
		}
	}
	return nil
}

// services are the entries of the service manager that the format's machines have.
func (p Package) services(format Layout) []Entry {
	if format.OpenRC {
		return p.OpenRC
	}
	return slices.Concat(p.Systemd, p.Units.sharedEntries(format.Exclusive), p.profile(format))
}

// profile is the entry of AppArmor's profile for the units, if there is one.
func (p Package) profile(format Layout) []Entry {
	entry := Entry{Path: p.examplesDir() + "/apparmor/" + p.Name, Kind: File, Mode: 0o644, From: p.Units.AppArmor}
	switch {
	case entry.From == "":
		return nil
	case format.AppArmor:
		entry.Path, entry.Kind = "/etc/apparmor.d/"+p.Name, Conf
	}
	return []Entry{entry}
}

// ofConfiguration finds the folders that configuration is in. rpm makes them with
// mode 0755 where they are missing; if the package owned them, each upgrade would
// set that mode and root again, whatever their admin has given them.
func ofConfiguration(e Entry) bool { return e.Kind == Dir && strings.HasPrefix(e.Path, "/etc/") }

// adoptedMode is what `rpm --setperms` gives a file that is there: an environment
// file holds secrets, and systemd reads it as root.
func adoptedMode(file string) fs.FileMode {
	if strings.HasSuffix(file, ".env") {
		return 0o600
	}
	return 0o644
}

// docEntries says where a format looks for a package's texts.
func (p Package) docEntries(format Layout) map[string]Entry {
	entries := format.Texts(p.docDir(), "/usr/share/licenses/"+p.Name)
	if !p.HasProgram() {
		return entries
	}
	entries[DocManual] = Entry{Path: p.ManPage(), Kind: Doc}
	if p.Plugin != nil {
		return entries
	}
	entries[DocCompletion] = Entry{Path: "/usr/share/bash-completion/completions/" + p.Name, Kind: File}
	return entries
}

func ownDirs(entries []Entry) []Entry {
	own := map[string]bool{}
	for _, entry := range entries {
		for dir := path.Dir(entry.Path); !shared[dir]; dir = path.Dir(dir) {
			own[dir] = true
		}
	}
	var dirs []Entry
	for dir := range own {
		dirs = append(dirs, Entry{Path: dir, Kind: Dir, Mode: 0o755})
	}
	return dirs
}
