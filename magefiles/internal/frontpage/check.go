package frontpage

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"
)

// The exact forms of values. They hold no character that a shell, a deb822
// file or HTML gives a meaning, so no value can become a command or markup.
var (
	// One host, perhaps a port, and folders. Plain http only where nobody can
	// stand between: on the machine itself.
	addressForm     = regexp.MustCompile(`^(https://[a-z0-9]([a-z0-9.-]*[a-z0-9])?|http://(127\.0\.0\.1|localhost))(:[0-9]{1,5})?(/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)*$`)
	fingerprintForm = regexp.MustCompile(`^[0-9A-F]{40}$`)
	versionForm     = regexp.MustCompile(`^[0-9]+\.[0-9]+\.[0-9]+$`)
	commitForm      = regexp.MustCompile(`^([0-9a-f]{40})?$`)
	sha256Form      = regexp.MustCompile(`^[0-9a-f]{64}$`)
	pathForm        = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._+~-]*(/[A-Za-z0-9][A-Za-z0-9._+~-]*)*$`)
	packageForm     = regexp.MustCompile(`^[a-z0-9][a-z0-9+.-]+$`)
	// What may stand in apt's entry beside the lines that must.
	commentForm = regexp.MustCompile(`^(#[ -~]*|Architectures-Remove:( [a-z0-9]+)+)$`)
	archForm    = regexp.MustCompile(`^([a-z0-9_]+)?$`)
)

func (s Site) check() error {
	errs := []error{
		exact("the repository's address", s.URL, addressForm, "https://HOST/PATH without a slash at its end"),
		exact("the project's address", s.Project, addressForm, "https://HOST/PATH without a slash at its end"),
		moment("publishing", s.Published), moment("the end of the indexes", s.Ends),
		s.checkKeys(), s.checkKeyring(), s.checkSources(),
	}
	if !s.Ends.After(s.Published) {
		errs = append(errs, fmt.Errorf("the indexes end at %s, which is not after they are published, %s", s.Ends, s.Published))
	}
	if len(s.Versions) == 0 {
		errs = append(errs, errors.New("there is no version to show"))
	}
	for _, v := range s.Versions {
		errs = append(errs, v.check())
	}
	return errors.Join(append(errs, s.checkUnique())...)
}

// exact is an error if a value does not have its form.
func exact(what, value string, form *regexp.Regexp, want string) error {
	if form.MatchString(value) {
		return nil
	}
	return fmt.Errorf("%s is %q, not of the form %s", what, value, want)
}

func moment(what string, t time.Time) error {
	if t.IsZero() {
		return fmt.Errorf("the time of %s is not set", what)
	}
	return nil
}

func (s Site) checkKeys() error {
	if len(s.Keys) == 0 {
		return errors.New("no key is trusted: nobody could check a signature")
	}
	var errs []error
	seen := map[string]bool{}
	for _, key := range s.Keys {
		errs = append(errs, exact("a fingerprint", key.Fingerprint, fingerprintForm, "of 40 upper-case hex digits"))
		if seen[key.Fingerprint] {
			errs = append(errs, fmt.Errorf("the key %s is listed twice", key.Fingerprint))
		}
		seen[key.Fingerprint] = true
	}
	return errors.Join(errs...)
}

// checkKeyring wants what the lines to paste name: the certificates, and both
// packages.
func (s Site) checkKeyring() error {
	var errs []error
	for _, f := range s.Keyring {
		errs = append(errs, f.check(), checkSBOM(f, s.Keyring))
	}
	wanted := []wantedKey{
		{certificates, func(f File) bool { return f.Kind == AsKey && f.Path == certificates }},
		{rawKeyring, func(f File) bool { return f.Kind == AsKey && f.Path == rawKeyring }},
		{"the deb " + debKeyring, func(f File) bool { return f.Kind == AsDeb && f.Package == debKeyring }},
		{"the rpm " + rpmKeyring + " in " + rpmFolder, isRelease},
	}
	if s.HasAPKs() {
		wanted = append(wanted, wantedKey{"the apk " + apkKeyring + " in " + apkFolder, isKeys}, wantedKey{"a key in " + apkKeys, isRawKey})
	}
	for _, want := range wanted {
		if _, ok := first(s.Keyring, want.found); !ok {
			errs = append(errs, fmt.Errorf("%s is not among the keyring's files", want.what))
		}
	}
	return errors.Join(errs...)
}

// wantedKey is a file that the lines to paste name.
type wantedKey struct {
	what  string
	found func(File) bool
}

func (v Version) check() error {
	if err := exact("a version", v.Version, versionForm, "MAJOR.MINOR.PATCH"); err != nil {
		return err
	}
	errs := []error{
		exact("upstream's address of "+v.Version, v.Upstream, addressForm, "https://HOST/PATH without a slash at its end"),
		exact("the upstream commit of "+v.Version, v.Commit, commitForm, "of 40 hex digits"),
		moment("publishing "+v.Version, v.Published),
	}
	if v.Release < 1 {
		errs = append(errs, fmt.Errorf("the release of %s is %d, releases count from 1", v.Version, v.Release))
	}
	if _, ok := first(v.Files, func(f File) bool { return f.Path == v.sums() && f.Kind == AsSums }); !ok {
		errs = append(errs, fmt.Errorf("%s has no file %s", v.Label(), v.sums()))
	}
	for _, f := range v.Files {
		errs = append(errs, f.check(), checkSBOM(f, v.Files))
	}
	return errors.Join(errs...)
}

// checkSBOM wants an SBOM to describe a file beside it: otherwise no link
// would lead to it.
func checkSBOM(doc File, files []File) error {
	if doc.Kind != AsSBOM {
		return nil
	}
	if _, ok := first(files, func(f File) bool { _, ok := describes(doc, f); return ok }); !ok {
		return fmt.Errorf("%s describes none of the files that are listed with it", doc.Path)
	}
	return nil
}

// checkSources wants apt's entry to be for this repository and to hold the keys
// that are checked, and nothing that switches a check off: each field is one of
// those that are known, once.
func (s Site) checkSources() error {
	fields := map[string]string{
		"Types": "deb deb-src", "URIs": s.URL + "/apt", "Suites": "stable stable-security", "Components": "main", "Signed-By": installed,
	}
	var errs []error
	for line := range strings.SplitSeq(strings.TrimSpace(s.Sources), "\n") {
		name, value, _ := strings.Cut(line, ": ")
		want, known := fields[name]
		switch {
		case known && value == want:
			delete(fields, name)
		case !commentForm.MatchString(line):
			errs = append(errs, fmt.Errorf("the file for sources.list.d has the line %q, which is not expected there", line))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		errs = append(errs, fmt.Errorf("the file for sources.list.d lacks the line %q", name+": "+fields[name]))
	}
	return errors.Join(errs...)
}

var kinds = map[Kind]bool{
	AsDeb: true, AsRPM: true, AsAPK: true, AsSource: true, AsSBOM: true, AsProvenance: true,
	AsRecord: true, AsSums: true, AsSignature: true, AsKey: true,
}

func (f File) check() error {
	errs := []error{
		exact("a file's path", f.Path, pathForm, "of plain names with slashes between them"),
		exact("the checksum of "+f.Path, f.SHA256, sha256Form, "of 64 lower-case hex digits"),
		exact("the architecture of "+f.Path, f.Arch, archForm, "of lower-case letters, digits and _"),
	}
	if f.Package != "" || f.Kind == AsDeb || f.Kind == AsRPM || f.Kind == AsAPK {
		errs = append(errs, exact("the package of "+f.Path, f.Package, packageForm, "of lower-case letters, digits, +, . and -"))
	}
	if f.Released != "" {
		errs = append(errs, exact("the released name of "+f.Path, f.Released, pathForm, "of a plain name"))
	}
	if !kinds[f.Kind] {
		errs = append(errs, fmt.Errorf("%s is of the kind %q, which the page does not know", f.Path, f.Kind))
	}
	if f.Size < 1 {
		errs = append(errs, fmt.Errorf("%s has a size of %d bytes", f.Path, f.Size))
	}
	return errors.Join(errs...)
}

// checkUnique wants each version once, each file once in a version, and the same
// file at a path wherever it is listed: releases of one version share upstream's
// archives.
func (s Site) checkUnique() error {
	var errs []error
	known, labels := map[string]File{}, map[string]bool{}
	for _, v := range append([]Version{{Files: s.Keyring}}, s.Versions...) {
		if labels[v.Label()] {
			errs = append(errs, fmt.Errorf("version %s is listed twice", v.Label()))
		}
		labels[v.Label()] = true
		here := map[string]bool{}
		for _, f := range v.Files {
			if other, ok := known[f.Path]; here[f.Path] || ok && other != f {
				errs = append(errs, fmt.Errorf("%s is listed twice, or as two files", f.Path))
			}
			known[f.Path], here[f.Path] = f, true
		}
	}
	return errors.Join(errs...)
}
