package scriptlets

import (
	"errors"
	"fmt"
	"regexp"
)

// Keyring is what the templates know of a package with the archive's keys.
type Keyring struct {
	Name    string
	Keys    string // where they are installed
	Address string // of the archive for this format, without what is before the host
	Files   []KeyringFile
}

// KeyringFile is one file that tells the package manager of the archive.
type KeyringFile struct {
	Path   string // where it is looked for
	From   string // what a deb puts there
	SHA256 string // of what an rpm has put there
	// Entry says that the package manager would have the archive twice if another
	// file named it too.
	Entry bool
	// Sections are the names in brackets by which dnf and zypper call what they have.
	Sections []string
}

// Pattern is an extended regular expression of the lines that name the archive,
// or are the first of one of the file's sections.
func (k Keyring) Pattern(file KeyringFile) string {
	pattern := Naming(k.Address)
	for _, section := range file.Sections {
		pattern += `|^[[]` + regexp.QuoteMeta(section) + `]`
	}
	return pattern
}

// Naming is an extended regular expression of the lines that name an address, by
// whatever protocol, and are no comment.
func Naming(address string) string {
	return `^([^#]*[[:space:]=/@])?` + regexp.QuoteMeta(address) + `(/|[[:space:]]|$)`
}

// RenderKeyring gives the scripts of a package with the archive's keys, as
// Render does those of others.
func RenderKeyring(format string, data Keyring) (map[string]string, error) {
	if err := data.validate(); err != nil {
		return nil, fmt.Errorf("%s scriptlets of %q: %w", format, data.Name, err)
	}
	scripts, err := renderAll(Templates("keyring/"+format), data)
	if err != nil {
		return nil, fmt.Errorf("%s scriptlets of %s: %w", format, data.Name, err)
	}
	return scripts, nil
}

var (
	address   = regexp.MustCompile(`^[A-Za-z0-9._~:/-]+$`)
	section   = regexp.MustCompile(`^[a-z0-9-]+$`)
	installed = regexp.MustCompile(`^(/[A-Za-z0-9._-]+)+$`)
)

func (k Keyring) validate() error {
	var errs []error
	check := func(what, value string, form *regexp.Regexp) {
		if !form.MatchString(value) {
			errs = append(errs, fmt.Errorf("%s %q is not of the form %s", what, value, form))
		}
	}
	check("package name", k.Name, packageName)
	check("address", k.Address, address)
	check("path", k.Keys, installed)
	for _, file := range k.Files {
		check("path", file.Path, installed)
		check("path", file.From, installed)
		for _, name := range file.Sections {
			check("section", name, section)
		}
	}
	return errors.Join(errs...)
}
