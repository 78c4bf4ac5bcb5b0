package pkgdef

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
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
	Licence     string // SPDX expression
	// Keys is where the keys are installed: in a deb binary, which is what apt
	// 1.6 reads, in an rpm armoured, which is what rpm reads.
	Keys string
	// Config are the files in which @URL@ stands for the archive's address.
	Config []Config

	dir string
}

const (
	placeholder = "@URL@"
	copyright   = "copyright" // in Debian's machine-readable form
	dayForm     = "2006.01.02"
)

// LoadKeyrings reads all keyring packages below root, in order of name.
func LoadKeyrings(root string) ([]Keyring, error) {
	_, folders, err := folders(root)
	if err != nil {
		return nil, err
	}
	keyrings, errs := make([]Keyring, len(folders)), make([]error, len(folders))
	for i, folder := range folders {
		keyrings[i], errs[i] = loadKeyring(root, folder.Name())
	}
	return keyrings, errors.Join(errs...)
}

// isKeyring looks whether a package.yaml is a keyring's. What else is wrong
// with the file is found when it is read.
func isKeyring(path string) bool {
	var kind struct{ Keyring any }
	content, err := os.ReadFile(path)
	return err == nil && yaml.Unmarshal(content, &kind) == nil && kind.Keyring != nil
}

func loadKeyring(root, name string) (Keyring, error) {
	dir, err := packageDir(root, name)
	if err != nil {
		return Keyring{}, err
	}
	k, definition := Keyring{Name: name, dir: dir}, filepath.Join(dir, "package.yaml")
	if err := decode(definition, &k); err != nil {
		return Keyring{}, err
	}
	if err := k.check(); err != nil {
		return Keyring{}, fmt.Errorf("%s: %w", definition, err)
	}
	return k, strayFiles(dir, k.Config, append(slices.Collect(maps.Keys(k.asTheyAre())), "package.yaml")...)
}

func (k Keyring) check() error {
	errs := missing(map[string]string{
		"changes": k.Changes, "summary": k.Summary, "description": k.Description, "section": k.Section, "licence": k.Licence,
	})
	if k.Format != Deb && k.Format != RPM {
		errs = append(errs, fmt.Errorf("keyring %q is neither %s nor %s", k.Format, Deb, RPM))
	}
	if _, err := time.Parse(dayForm, k.Version); err != nil {
		errs = append(errs, fmt.Errorf("version %q is not a day of the form YYYY.MM.DD", k.Version))
	}
	if strings.Contains(k.Changes, "\n") {
		errs = append(errs, fmt.Errorf("changes %q is not one line", k.Changes))
	}
	errs = append(errs, checkSummary(k.Summary), checkInstalled(k.Keys, "/usr/share/keyrings/", "/etc/pki/rpm-gpg/"))
	for file := range k.asTheyAre() {
		errs = append(errs, checkFile(k.dir, file))
	}
	for _, config := range k.Config {
		errs = append(errs, checkInstalled(config.Path, "/etc/"), k.checkTemplate(config.File))
	}
	return errors.Join(errs...)
}

// checkTemplate refuses a file that would not name the archive, or not the keys
// to check it by.
func (k Keyring) checkTemplate(file string) error {
	if err := checkFile(k.dir, file); err != nil {
		return err
	}
	content, err := os.ReadFile(k.file(file))
	if err != nil {
		return fmt.Errorf("reading a template: %w", err)
	}
	for _, want := range []string{placeholder, k.Keys} {
		if !bytes.Contains(content, []byte(want)) {
			return fmt.Errorf("%s does not say %s", file, want)
		}
	}
	return nil
}

// file is the path of a file in the package's folder.
func (k Keyring) file(name string) string { return filepath.Join(k.dir, filepath.FromSlash(name)) }

// asTheyAre says where each file of the folder goes that is installed as it is.
func (k Keyring) asTheyAre() map[string]Entry {
	if k.Format == RPM {
		return map[string]Entry{copyright: {Path: "/usr/share/licenses/" + k.Name + "/" + copyright, Kind: License}}
	}
	return map[string]Entry{
		copyright:        {Path: "/usr/share/doc/" + k.Name + "/" + copyright, Kind: File},
		lintianOverrides: {Path: "/usr/share/lintian/overrides/" + k.Name, Kind: File},
	}
}

// Time is the start of the day of the last change, in UTC: the time of all that
// is in the package.
func (k Keyring) Time() time.Time {
	day, _ := time.Parse(dayForm, k.Version) // checked when it was read
	return day
}

// Changelog is where a deb's changelog is installed. An rpm has its own in its
// header.
func (k Keyring) Changelog() string { return "/usr/share/doc/" + k.Name + "/changelog.Debian" + Zipped }

// Texts are the files with the keys and the archive's address, by the path
// that they are installed at. The same keys and address make the same texts.
func (k Keyring) Texts(url string, trusted Certificates) (map[string][]byte, error) {
	if err := errors.Join(CheckURL(url), trusted.check()); err != nil {
		return nil, fmt.Errorf("filling in %s: %w", k.Name, err)
	}
	texts := map[string][]byte{k.Keys: trusted.Binary}
	if k.Format == RPM {
		texts[k.Keys] = trusted.Armoured
	}
	for _, config := range k.Config {
		content, err := os.ReadFile(k.file(config.File))
		if err != nil {
			return nil, fmt.Errorf("filling in %s: %w", k.Name, err)
		}
		texts[config.Path] = bytes.ReplaceAll(content, []byte(placeholder), []byte(url))
	}
	return texts, nil
}

// Payload lists everything that the package installs, by path. The texts, and
// a deb's changelog, are below dir at the paths that they are installed at.
func (k Keyring) Payload(dir string) []Entry {
	made := func(path string, kind Kind) Entry {
		return Entry{Path: path, Kind: kind, Mode: 0o644, From: filepath.Join(dir, filepath.FromSlash(path))}
	}
	entries := []Entry{made(k.Keys, File)}
	for _, config := range k.Config {
		entries = append(entries, made(config.Path, Conf))
	}
	if k.Format == Deb {
		entries = append(entries, made(k.Changelog(), Doc))
	}
	for name, entry := range k.asTheyAre() {
		entry.From, entry.Mode = k.file(name), 0o644
		entries = append(entries, entry)
	}
	entries = append(entries, ownDirs(entries)...)
	slices.SortFunc(entries, func(a, b Entry) int { return strings.Compare(a.Path, b.Path) })
	return entries
}
