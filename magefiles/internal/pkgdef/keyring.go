package pkgdef

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pkgdef/scriptlets"
)

// Keyring is a package without a program: the keys that the archive is signed
// with, and the archive's address, for the package managers of one format. It
// is read from a folder of packages/ whose package.yaml has the key keyring.
type Keyring struct {
	Name        string `yaml:"-"` // the folder's name
	Format      string `yaml:"keyring"`
	Version     string // the day of the last change, such as 2026.11.24
	Changes     string // what was changed that day, in one line
	Summary     string // one line, no article, no full stop
	Description string // paragraphs
	Section     string // Debian's section, or an rpm's group
	License     string // SPDX expression
	// Keys is where the keys are installed: in a deb binary, which is what apt
	// 1.6 reads, in an rpm armoured, which is what rpm reads. In an apk it is a folder,
	// in which each has a file.
	Keys string
	// Config are the files that tell the package manager of the archive: in which
	// @URL@ stands for its address, @ORIGIN@ for what its index calls it, @PACKAGES@
	// for the names of all packages of the format, @SOURCES@ for those of the
	// source packages. An rpm's are configuration as rpm knows it. A deb's are put
	// in place by its scriptlets: dpkg would ask about one that is there already.
	Config []Config

	dir string
	// packages and sources are all that the archive has for the format.
	packages, sources []string
}

// Origin is what the archive's index calls it.
const Origin = "SPIRE"

// PublicLog is what the archive's public log calls itself in its checkpoints.
const PublicLog = "github.com/spiffe-experimental/spire-packages"

// What stands for something else in a Config.
const (
	placeURL      = "@URL@"
	placeOrigin   = "@ORIGIN@"
	placePackages = "@PACKAGES@"
	placeSources  = "@SOURCES@"
)

const copyright = "copyright" // in Debian's machine-readable form

// longestChange is what is left of a changelog's line of 80 columns behind "  * " (lintian,
// debian-changelog-line-too-long).
const longestChange = 76

// DayForm is the form of keyring packages' versions, for the time package.
const DayForm = "2006.01.02"

// LoadKeyrings reads all keyring packages below root, in order of name.
func LoadKeyrings(root string) ([]Keyring, error) {
	programs, folders, err := folders(root)
	if err != nil {
		return nil, err
	}
	keyrings, errs := make([]Keyring, len(folders)), make([]error, len(folders))
	for i, folder := range folders {
		keyrings[i], errs[i] = loadKeyring(root, folder.Name())
	}
	programs = slices.DeleteFunc(programs, func(program fs.DirEntry) bool { return waits(root, peek(root, program.Name()).Source) })
	for i := range keyrings {
		keyrings[i].nameAll(root, programs, keyrings)
	}
	return keyrings, errors.Join(errs...)
}

// nameAll notes what the archive has for the format: the packages of all
// programs, and those with its keys.
func (k *Keyring) nameAll(root string, programs []fs.DirEntry, keyrings []Keyring) {
	for _, program := range programs {
		k.packages = append(k.packages, program.Name())
		if source := peek(root, program.Name()).Source; !slices.Contains(k.sources, source) {
			k.sources = append(k.sources, source)
		}
	}
	for _, other := range keyrings {
		if other.Format == k.Format {
			k.packages = append(k.packages, other.Name)
		}
	}
	slices.Sort(k.packages)
}

// waits glances at a source's definition: the archive has nothing of one that waits.
func waits(root, source string) bool {
	var seen struct{ Waits string }
	content, err := os.ReadFile(filepath.Join(root, "srpm", source, "source.yaml"))
	return err == nil && yaml.Unmarshal(content, &seen) == nil && seen.Waits != ""
}

// kind is what a glance at a package.yaml shows.
type kind struct {
	Keyring any
	Source  string
}

// peek glances at a package's definition. What is wrong with it is found when it
// is read.
func peek(root, name string) (seen kind) {
	content, err := os.ReadFile(filepath.Join(root, "packages", name, "package.yaml"))
	if err != nil || yaml.Unmarshal(content, &seen) != nil {
		return kind{}
	}
	return seen
}

func loadKeyring(root, name string) (Keyring, error) {
	dir, err := packageDir(root, name)
	if err != nil {
		return Keyring{}, err
	}
	k, definition := Keyring{Name: name, dir: dir}, filepath.Join(dir, "package.yaml")
	if err := Decode(definition, &k); err != nil {
		return Keyring{}, err
	}
	if err := k.check(); err != nil {
		return Keyring{}, fmt.Errorf("%s: %w", definition, err)
	}
	return k, strayFiles(dir, k.Config, append(slices.Collect(maps.Keys(k.form().asTheyAre)), "package.yaml", "keys", "rebuilders")...)
}

func (k Keyring) check() error {
	errs := missing(map[string]string{
		"changes": k.Changes, "summary": k.Summary, "description": k.Description, "section": k.Section, "license": k.License,
	})
	if _, ok := keyringForms[k.Format]; !ok {
		errs = append(errs, fmt.Errorf("keyring %q is neither %s", k.Format, strings.Join(slices.Sorted(maps.Keys(keyringForms)), " nor ")))
	}
	if _, err := time.Parse(DayForm, k.Version); err != nil {
		errs = append(errs, fmt.Errorf("version %q is not a day of the form YYYY.MM.DD", k.Version))
	}
	if strings.Contains(k.Changes, "\n") {
		errs = append(errs, fmt.Errorf("changes %q is not one line", k.Changes))
	}
	if n := len(k.Changes); n > longestChange {
		errs = append(errs, fmt.Errorf("changes %q has %d bytes: a line of a Debian changelog has room for %d", k.Changes, n, longestChange))
	}
	errs = append(errs, checkSummary(k.Summary), checkInstalled(k.Keys, "/usr/share/keyrings/", "/etc/pki/rpm-gpg/", "/etc/apk/keys"))
	for file := range k.form().asTheyAre {
		errs = append(errs, checkFile(k.dir, file))
	}
	for _, config := range k.Config {
		errs = append(errs, checkInstalled(config.Path, "/etc/"), k.checkTemplate(config.File))
	}
	return errors.Join(errs...)
}

// checkTemplate refuses a file that would not name the archive, or not the keys
// to check it by; and one that is about the archive's packages without a word on
// which they are.
func (k Keyring) checkTemplate(file string) error {
	if err := checkFile(k.dir, file); err != nil {
		return err
	}
	content, err := os.ReadFile(k.file(file))
	if err != nil {
		return fmt.Errorf("reading a template: %w", err)
	}
	wants := []string{placeURL, k.Keys}
	if bytes.Contains(content, []byte(placeOrigin)) {
		wants = []string{placePackages}
	}
	for _, want := range wants {
		if !bytes.Contains(content, []byte(want)) {
			return fmt.Errorf("%s does not say %s", file, want)
		}
	}
	return nil
}

// file is the path of a file in the package's folder.
func (k Keyring) file(name string) string { return filepath.Join(k.dir, filepath.FromSlash(name)) }

// keyringForm is what formats differ in of a package with keys. NAME stands for the package's
// name.
type keyringForm struct {
	folder   string // of the archive, below its address
	armoured bool   // the keys are, as they are installed
	// asTheyAre says where each file of the folder goes that is installed as it is.
	asTheyAre map[string]Entry
	// placed says that scriptlets put the configuration in its place; silent that there are
	// none, as the package manager minds no address that it has twice.
	placed, silent bool
	// each says that each key has a file of its own.
	each bool
	// changelog is where it is installed; empty where the format itself has a place for
	// it, as an rpm's header.
	changelog string
}

var keyringForms = map[string]keyringForm{
	Deb: {
		folder: "/apt",
		asTheyAre: map[string]Entry{
			copyright:        {Path: "/usr/share/doc/NAME/" + copyright, Kind: File},
			lintianOverrides: {Path: "/usr/share/lintian/overrides/NAME", Kind: File},
		},
		placed: true, changelog: "/usr/share/doc/NAME/changelog.Debian" + Zipped,
	},
	RPM: {
		folder: "/rpm", armoured: true,
		asTheyAre: map[string]Entry{copyright: {Path: "/usr/share/licenses/NAME/" + copyright, Kind: License}},
	},
	APK: {
		folder: "/apk", silent: true, each: true,
		asTheyAre: map[string]Entry{copyright: {Path: "/usr/share/licenses/NAME/" + copyright, Kind: License}},
	},
}

func (k Keyring) form() keyringForm { return keyringForms[k.Format] }

// named is a path of a form's.
func (k Keyring) named(path string) string { return strings.ReplaceAll(path, "NAME", k.Name) }

// Time is the start of the day of the last change, in UTC: the time of all that
// is in the package.
func (k Keyring) Time() time.Time {
	day, _ := time.Parse(DayForm, k.Version) // checked when it was read
	return day
}

// Changelog is where the changelog is installed; empty where the format itself has a
// place for it.
func (k Keyring) Changelog() string { return k.named(k.form().changelog) }

// Texts are the files with the keys and the archive's address, by the path
// that they are installed at. The same keys and address make the same texts.
func (k Keyring) Texts(url string, trusted Certificates) (map[string][]byte, error) {
	if err := errors.Join(CheckURL(url), trusted.check()); err != nil {
		return nil, fmt.Errorf("filling in %s: %w", k.Name, err)
	}
	texts := k.keys(trusted)
	for _, config := range k.Config {
		content, err := os.ReadFile(k.file(config.File))
		if err != nil {
			return nil, fmt.Errorf("filling in %s: %w", k.Name, err)
		}
		texts[config.Path] = []byte(strings.NewReplacer(
			placeURL, url, placeOrigin, Origin,
			placePackages, strings.Join(k.packages, " "), placeSources, strings.Join(k.sources, " "),
		).Replace(string(content)))
	}
	return texts, nil
}

// keys are the files with the keys, by the path that they are installed at.
func (k Keyring) keys(trusted Certificates) map[string][]byte {
	switch form := k.form(); {
	case form.each:
		files := map[string][]byte{}
		for name, key := range trusted.Raw {
			files[k.Keys+"/"+name] = key
		}
		return files
	case form.armoured:
		return map[string][]byte{k.Keys: trusted.Armoured}
	}
	return map[string][]byte{k.Keys: trusted.Binary}
}

// address is where the archive has a format, without the protocol.
func address(url, format string) string {
	_, rest, _ := strings.Cut(url, "://")
	return rest + keyringForms[format].folder
}

// AptEntry is an extended regular expression of the lines by which apt's files
// name the archive.
func AptEntry(url string) string { return scriptlets.Naming(address(url, Deb)) }

// shared is where the package brings a configuration that its scriptlets put in place.
func (k Keyring) shared(config Config) string { return "/usr/share/" + k.Name + "/" + config.File }

// sectionForm is the first line of what dnf and zypper have of a repository.
var sectionForm = regexp.MustCompile(`(?m)^\[([^]]*)\]$`)

// Scriptlets put the configuration in place, or leave it to whom has it already.
// The texts are those of Texts.
func (k Keyring) Scriptlets(url string, texts map[string][]byte) (map[string]string, error) {
	if k.form().silent {
		return nil, nil
	}
	data := scriptlets.Keyring{Name: k.Name, Keys: k.Keys}
	data.Address = address(url, k.Format)
	for _, config := range k.Config {
		text := texts[config.Path]
		file := scriptlets.KeyringFile{
			Path: config.Path, From: k.shared(config), SHA256: fmt.Sprintf("%x", sha256.Sum256(text)),
			Entry: bytes.Contains(text, []byte(url)),
		}
		for _, match := range sectionForm.FindAllSubmatch(text, -1) {
			file.Sections = append(file.Sections, string(match[1]))
		}
		data.Files = append(data.Files, file)
	}
	return scriptlets.RenderKeyring(k.Format, data)
}

// Payload lists everything that the package with these keys installs, by path. The texts,
// and a deb's changelog, are below dir at the paths that they are installed at.
func (k Keyring) Payload(dir string, trusted Certificates) []Entry {
	made := func(path string, kind Kind) Entry {
		return Entry{Path: path, Kind: kind, Mode: 0o644, From: filepath.Join(dir, filepath.FromSlash(path))}
	}
	var entries []Entry
	for path := range k.keys(trusted) {
		entries = append(entries, made(path, File))
	}
	for _, config := range k.Config {
		entry := made(config.Path, Conf)
		if k.form().placed {
			entry.Path, entry.Kind = k.shared(config), File
		}
		entries = append(entries, entry)
	}
	if path := k.Changelog(); path != "" {
		entries = append(entries, made(path, Doc))
	}
	for name, entry := range k.form().asTheyAre {
		entry.Path, entry.From, entry.Mode = k.named(entry.Path), k.file(name), 0o644
		entries = append(entries, entry)
	}
	entries = append(entries, ownDirs(entries)...)
	slices.SortFunc(entries, func(a, b Entry) int { return strings.Compare(a.Path, b.Path) })
	return entries
}
