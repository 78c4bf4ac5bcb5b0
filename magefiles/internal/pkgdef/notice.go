package pkgdef

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Notice says of one vulnerability, or of one mistake that upstream calls a matter of
// security, which versions of a source mend it.
type Notice struct {
	Source string `yaml:"-"` // its name
	// IDs are what databases call it: CVE-..., GHSA-..., GO-...; none where upstream had
	// none made.
	IDs   []string `yaml:"ids"`
	Title string   // one line
	// Fixed are the first versions without it, one a minor version, the oldest first:
	// MAJOR.MINOR.PATCH, or with the packaging's release where that mends it, such as
	// 1.14.5-2. Whatever is newer than the last is without it, too.
	Fixed []Fix
	// Severity is one of Severities; empty where whoever found it says none.
	Severity   string
	Date       string // of the version that mended it, such as 2026-03-18
	References []string
	From       string // where all this is from
}

// Fix is a version that mends something.
type Fix struct {
	Version string // MAJOR.MINOR.PATCH
	Release int    // of the packaging; 0 where each of them does
}

// Severities are the words that dnf and zypper know, the least first.
var Severities = []string{"low", "moderate", "important", "critical"}

// UnmarshalText reads a version, which may have the packaging's release behind it.
func (f *Fix) UnmarshalText(text []byte) error {
	version, release, ours := strings.Cut(string(text), "-")
	if err := CheckVersion(version); err != nil {
		return err
	}
	f.Version = version
	if !ours {
		return nil
	}
	number, err := strconv.Atoi(release)
	if err != nil || number < 1 || strconv.Itoa(number) != release {
		return fmt.Errorf("%q is not of the form 1.14.5-2", text)
	}
	f.Release = number
	return nil
}

// String is the fix as it is written.
func (f Fix) String() string {
	if f.Release == 0 {
		return f.Version
	}
	return fmt.Sprintf("%s-%d", f.Version, f.Release)
}

// minor is its MAJOR.MINOR.
func (f Fix) minor() string { return f.Version[:strings.LastIndex(f.Version, ".")] }

// noticesFile is beside the source's definition, where it has any.
const noticesFile = "security.yaml"

var (
	idForm   = regexp.MustCompile(`^(CVE-(19|20)[0-9]{2}-[0-9]{4,7}|GO-20[0-9]{2}-[0-9]{4,5}|GHSA(-[23456789cfghjmpqrvwx]{4}){3})$`)
	pageForm = regexp.MustCompile(`^https://[a-z0-9.-]+/[A-Za-z0-9._~/#?=&%-]*$`)
)

// loadNotices reads what is known of the source's vulnerabilities.
func (s *Source) loadNotices() error {
	file := filepath.Join(s.dir, noticesFile)
	if _, err := os.Lstat(file); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	var list struct{ Notices []Notice }
	if err := Decode(file, &list); err != nil {
		return err
	}
	ids := map[string]bool{}
	var errs []error
	for i := range list.Notices {
		n := &list.Notices[i]
		n.Source = s.Name
		for _, err := range []error{n.check(), s.knows(n.Fixed), once(ids, n.IDs)} {
			if err != nil {
				errs = append(errs, fmt.Errorf("%s: %q: %w", file, n.Title, err))
			}
		}
	}
	s.Notices = list.Notices
	return errors.Join(errs...)
}

// once is an error if an ID was there before.
func once(seen map[string]bool, ids []string) error {
	for _, id := range ids {
		if seen[id] {
			return fmt.Errorf("ids: %s is there twice", id)
		}
		seen[id] = true
	}
	return nil
}

func (n Notice) check() error {
	var errs []error
	for _, id := range n.IDs {
		if !idForm.MatchString(id) {
			errs = append(errs, fmt.Errorf("ids: %q is not of the form CVE-2026-12345, GHSA-xxxx-xxxx-xxxx or GO-2026-1234", id))
		}
	}
	for field, line := range map[string]string{"title": n.Title, "from": n.From} {
		if line == "" || strings.TrimSpace(line) != line || strings.Contains(line, "\n") {
			errs = append(errs, fmt.Errorf("%s: %q is not one line", field, line))
		}
	}
	if _, err := time.Parse(time.DateOnly, n.Date); err != nil {
		errs = append(errs, fmt.Errorf("date: %q is not of the form 2026-03-18", n.Date))
	}
	if n.Severity != "" && !slices.Contains(Severities, n.Severity) {
		errs = append(errs, fmt.Errorf("severity: %q is none of %s", n.Severity, strings.Join(Severities, ", ")))
	}
	if len(n.References) == 0 {
		errs = append(errs, errors.New("references: there has to be one, for people to read"))
	}
	for _, reference := range n.References {
		if !pageForm.MatchString(reference) {
			errs = append(errs, fmt.Errorf("references: %q is no https:// address", reference))
		}
	}
	return errors.Join(append(errs, n.checkFixed())...)
}

// checkFixed wants one version of each minor version, in their order.
func (n Notice) checkFixed() error {
	if len(n.Fixed) == 0 {
		return errors.New("fixed: there has to be a version that mends it: without one there is nothing to say")
	}
	for i, fix := range n.Fixed[1:] {
		if compareMinors(n.Fixed[i].minor(), fix.minor()) >= 0 {
			return fmt.Errorf("fixed: %s comes after %s: one version of each minor version, the oldest first", fix, n.Fixed[i])
		}
	}
	return nil
}

// knows is an error where a version is none that upstream, or the packaging, has made by
// what the definition says: a slip of the pen would tell of a fix that nobody ever gets.
func (s Source) knows(fixed []Fix) error {
	newest := Fix{Version: s.Version}.minor()
	for _, minor := range s.Supported.Minors {
		if compareMinors(minor, newest) > 0 {
			newest = minor
		}
	}
	for _, fix := range fixed {
		switch {
		case compareMinors(fix.minor(), newest) > 0:
			return fmt.Errorf("fixed: no version %s is known, but those up to %s", fix, newest)
		case len(s.Supported.Minors) == 0 && slices.Compare(numbers(fix.Version), numbers(s.Version)) > 0:
			return fmt.Errorf("fixed: no version %s is known, but those up to %s", fix, s.Version)
		case fix.Version == s.Version && fix.Release > s.Release:
			return fmt.Errorf("fixed: no packaging %s is known, but those up to %s-%d", fix, s.Version, s.Release)
		}
	}
	return nil
}
