// Package pkgdef turns the folders packages/, units/ and srpm/ into validated
// values. It is the only reader of those folders: whoever adds a package adds
// a folder, and no Go.
package pkgdef

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// Source is one upstream source, read from srpm/<name>/source.yaml.
type Source struct {
	Name string `yaml:"-"` // the folder's name
	// Title is what people call the software, such as SPIRE, and Summary one line
	// about it, Description paragraphs: what is said of the source as a whole.
	Title, Summary, Description string
	// Main says that a version without a source's name is this one's, in flags, tags
	// and folders. One source is.
	Main   bool
	Module string // Go module path
	// Own is the folder src beside the definition: the source itself, where it is of this
	// repository and no module that anybody serves; empty otherwise. Time is then that of
	// its version, of which all that is built from it is.
	Own     string    `yaml:"-" json:"-"`
	Time    time.Time `json:",omitzero"`
	Version string    // bare version that is built when no other is asked for
	Release int       // number of the packaging, from 1
	// Toolchain and Tools are those of all sources, in srpm/common/tools.yaml.
	Toolchain  Toolchain `yaml:"-"`
	Tools      Tools     `yaml:"-"`
	Homepage   string
	Repository string // where the source is kept, for people
	Maintainer string // Name <address>
	Vendor     string
	// Steps are set where upgrades go one minor version a step.
	Steps Steps
	// Changelog is upstream's, a file in its tree; empty where it has none.
	Changelog string
	// Lintian are lines of overrides for the Debian source package, beside those that all
	// have: what lintian takes upstream's files for.
	Lintian string `json:",omitempty"`
	// VersionVariable and CommitVariable are the Go string variables that the
	// linker sets: the first in a release, the second in any other build. Without a
	// second one, the first is set in any build.
	VersionVariable string `yaml:"versionVariable"`
	CommitVariable  string `yaml:"commitVariable"`
	// Supported is no part of what decides what is built, and so of no key either.
	Supported Supported `json:"-"`
	// Notices are what its versions mend, by the file beside the definition. They are said of
	// what is published, and decide nothing of what is built.
	Notices []Notice `yaml:"-" json:"-"`
	// Waits says, in a line, why nothing is built of the source, unless somebody asks for it by
	// name, and why nothing of it is signed: its definition and packages are checked as data.
	// Empty is a source like all others.
	Waits string `json:"-"`
	// Releases are what is already known of single versions.
	Releases map[string]Pin
	// Patches are the files in srpm/<name>/patches, in the order they apply.
	Patches []string `yaml:"-"`
	// Allow are decisions about licenses that no program can make. Undecided are those
	// whose reason nobody has written yet.
	Allow     []Allowance
	Undecided []Allowance `yaml:"-" json:"-"`

	dir string
}

// Steps say why upgrades go one minor version a step, and what somebody reads who has
// left one out, in lines.
type Steps struct{ Rule, Advice []string }

func (s Steps) check() error {
	var errs []error
	for _, line := range slices.Concat(s.Rule, s.Advice) {
		if strings.ContainsAny(line, "\"$`\\\n") { // they stand in shell scripts
			errs = append(errs, fmt.Errorf("steps: %q has a character that a shell gives a meaning", line))
		}
	}
	return errors.Join(errs...)
}

// Toolchain is the Go that compiles, exactly.
type Toolchain struct {
	Version string // such as go1.26.8
	// Sums are the h1 sums of its module, as the checksum database has them, by the
	// machine that it runs on, such as linux-amd64.
	Sums map[string]string
}

// Tools are the programs beside Go's that decide what is shipped, byte by byte: those
// of Debian's packages that hold the C compiler, its libraries and rpmbuild.
type Tools struct {
	Suite string // of Debian's, such as bookworm
	// Snapshot is a moment at which Debian's archive had these versions, in UTC, such
	// as 20261128T000000Z.
	Snapshot string
	// Native are the versions of the packages for a machine's own programs, on every
	// architecture. Cross are those for another one's, by two architectures of Go's
	// names, such as amd64-arm64: which compiles, and for which.
	Native map[string]string
	Cross  map[string]map[string]string
	// Linked is what gets into a program with C, by the name of its source in Debian,
	// and the one of Native that has it. Compilers are those of Native that make such a
	// program.
	Linked    map[string]string
	Compilers []string
	// Series are the beginnings of versions of Native, such as 252, of which each will do
	// for what is no more than read.
	Series map[string]string
	// Others are the tools for architectures that the suite does not have, by Go's name:
	// Cross of another suite, with what that links and compiles by.
	Others map[string]Tools
}

// Of are the tools for compiling for an architecture: its own, where it has any.
func (t Tools) Of(arch string) Tools {
	if own, ok := t.Others[arch]; ok {
		return own
	}
	return t
}

// For are the versions of the packages, by name, on a machine that compiles for
// another; nil where they are not known.
func (t Tools) For(machine, arch string) map[string]string {
	if machine == arch {
		return t.Native
	}
	return t.Of(arch).Cross[machine+"-"+arch]
}

// Parts are Linked for an architecture, each as name (= version).
func (t Tools) Parts(arch string) []string {
	var parts []string
	own := t.Of(arch)
	for _, source := range slices.Sorted(maps.Keys(own.Linked)) {
		parts = append(parts, fmt.Sprintf("%s (= %s)", source, own.version(own.Linked[source])))
	}
	return parts
}

// Makers are Compilers for an architecture, in the same form.
func (t Tools) Makers(arch string) []string {
	var makers []string
	own := t.Of(arch)
	for _, name := range own.Compilers {
		makers = append(makers, fmt.Sprintf("%s (= %s)", name, own.version(name)))
	}
	return makers
}

// version is that of a package; empty where none is known. What is the same on all
// machines has the same one everywhere.
func (t Tools) version(name string) string {
	version := t.Native[name]
	for _, machines := range slices.Sorted(maps.Keys(t.Cross)) {
		version = cmp.Or(version, t.Cross[machines][name])
	}
	return version
}

// Allowance is what somebody found who looked at a license by hand.
type Allowance struct {
	Module  string // the module, or the library's name
	File    string // the file, relative to the module; empty when it has none
	License string // SPDX expression; empty if the file covers nothing that is linked
	Text    string // for a module without a file, or what of the file is the license
	Reason  string
}

// File is the file that the source is read from.
func (s Source) File() string { return filepath.Join(s.dir, "source.yaml") }

// LicenseFile is the text of a library's license.
func (s Source) LicenseFile(library string) string {
	own := filepath.Join(s.dir, "licenses", library)
	if _, err := os.Stat(own); err != nil {
		return s.common("licenses", library)
	}
	return own
}

// Spec is the template of the rpms' spec file.
func (s Source) Spec() string { return s.common("spec.tmpl") }

// Debian is the folder of the templates of debian/.
func (s Source) Debian() string { return s.common("debian") }

// commonDir is the folder beside the sources' with what all of them have in common.
const commonDir = "common"

// common is the path of something that all sources have in common.
func (s Source) common(path ...string) string {
	return filepath.Join(append([]string{filepath.Dir(s.dir), commonDir}, path...)...)
}

// Pin is what must be true of one released version.
type Pin struct {
	Sum    string    // module zip, h1
	Commit string    // 40 hex digits
	Time   time.Time // the commit's
	Vendor string    // h1 over vendor/; empty if not known yet
}

var (
	versionForm = regexp.MustCompile(`^(0|[1-9][0-9]{0,5})\.(0|[1-9][0-9]{0,5})\.(0|[1-9][0-9]{0,5})$`)
	commitForm  = regexp.MustCompile(`^[0-9a-f]{40}$`)
	goForm      = regexp.MustCompile(`^go1\.[0-9]+\.[0-9]+$`)
	hostForm    = regexp.MustCompile(`^linux-[a-z0-9]+$`)
	sumForm     = regexp.MustCompile(`^h1:[A-Za-z0-9+/]{43}=$`)
	patchForm   = regexp.MustCompile(`^[0-9]{4}-[a-z0-9.-]+\.patch$`)
	suiteForm   = regexp.MustCompile(`^[a-z]+$`)
	// snapshotForm is how the archive of snapshots names a moment.
	snapshotForm = regexp.MustCompile(`^[0-9]{8}T[0-9]{6}Z$`)
	// packageForm is a package, and its architecture where that is not the machine's.
	packageForm    = regexp.MustCompile(`^[a-z0-9][a-z0-9+.-]+(:[a-z0-9]+)?$`)
	debVersionForm = regexp.MustCompile(`^[0-9][A-Za-z0-9.+~:-]*$`)
	nameForm       = regexp.MustCompile(`^[a-z][a-z0-9-]+$`)
)

// CheckVersion refuses every version that is not exactly MAJOR.MINOR.PATCH:
// versions become file names, arguments and module queries.
func CheckVersion(version string) error {
	if !versionForm.MatchString(version) {
		return fmt.Errorf("version %q is not of the form MAJOR.MINOR.PATCH, such as 1.13.3 (no v before it, nothing behind it)", version)
	}
	return nil
}

// Sources are all of srpm/ below root: the main one first, the others in order of name.
func Sources(root string) ([]Source, error) { return sourcesBy(root, LoadSource) }

// UndecidedSources are Sources, where decisions may be open.
func UndecidedSources(root string) ([]Source, error) { return sourcesBy(root, LoadUndecided) }

func sourcesBy(root string, load func(root, name string) (Source, error)) ([]Source, error) {
	entries, err := os.ReadDir(filepath.Join(root, "srpm"))
	if err != nil {
		return nil, fmt.Errorf("reading the sources: %w", err)
	}
	var sources []Source
	var mains []string
	for _, entry := range entries {
		if entry.Name() == commonDir {
			continue
		}
		if !entry.IsDir() || !nameForm.MatchString(entry.Name()) {
			return nil, fmt.Errorf("srpm/%s is not the folder of a source: its name is lower-case letters, digits and hyphens", entry.Name())
		}
		source, err := load(root, entry.Name())
		if err != nil {
			return nil, err
		}
		if sources = append(sources, source); source.Main {
			mains = append(mains, source.Name)
		}
	}
	if len(mains) != 1 {
		return nil, fmt.Errorf("one source in srpm/ has to say main: true, and %d do: %s", len(mains), strings.Join(mains, ", "))
	}
	slices.SortStableFunc(sources, func(a, b Source) int {
		switch {
		case a.Main:
			return -1
		case b.Main:
			return 1
		}
		return strings.Compare(a.Name, b.Name)
	})
	return sources, nil
}

// Tag names the release of a version of the source: v1.13.3-2, or
// spiffe-helper-v0.11.0-1.
func (s Source) Tag(version string, release int) string {
	return fmt.Sprintf("%sv%s-%d", s.prefix(), version, release)
}

// Ready are those of sources that do not wait.
func Ready(sources []Source) []Source {
	return slices.DeleteFunc(slices.Clone(sources), func(s Source) bool { return s.Waits != "" })
}

// Waiting are the others.
func Waiting(sources []Source) []Source {
	return slices.DeleteFunc(slices.Clone(sources), func(s Source) bool { return s.Waits == "" })
}

// checkWaits keeps what people build by default from waiting, and its reason a line.
func (s Source) checkWaits() error {
	switch {
	case s.Waits == "":
		return nil
	case s.Main:
		return errors.New("waits: the main source cannot")
	case strings.TrimSpace(s.Waits) != s.Waits || strings.Contains(s.Waits, "\n"):
		return fmt.Errorf("waits: %q is not one line", s.Waits)
	}
	return nil
}

// prefix is what the labels and tags of the source begin with.
func (s Source) prefix() string {
	if s.Main {
		return ""
	}
	return s.Name + "-"
}

// tagForm is a tag after its prefix. Its number is from 1 to 9999.
var tagForm = regexp.MustCompile(`^v([0-9.]+)-([1-9][0-9]{0,3})$`)

// ParseTag reads the tag of a release of the source, as Tag writes it.
func (s Source) ParseTag(tag string) (version string, release int, ok bool) {
	rest, ours := strings.CutPrefix(tag, s.prefix())
	match := tagForm.FindStringSubmatch(rest)
	if !ours || match == nil || CheckVersion(match[1]) != nil {
		return "", 0, false
	}
	release, err := strconv.Atoi(match[2])
	return match[1], release, err == nil
}

// LoadSource reads srpm/<name> below root. While a decision is open in it, it is an error.
func LoadSource(root, name string) (Source, error) {
	source, err := LoadUndecided(root, name)
	if err != nil {
		return Source{}, err
	}
	if len(source.Undecided) > 0 {
		return Source{}, fmt.Errorf("%s: %w", source.File(), source.undecided())
	}
	return source, nil
}

// LoadUndecided reads it where decisions may be open, which are set aside as Undecided.
func LoadUndecided(root, name string) (Source, error) {
	dir := filepath.Join(root, "srpm", name)
	source := Source{Name: name, dir: dir}
	if err := Decode(source.File(), &source); err != nil {
		return Source{}, err
	}
	err := source.loadTools()
	if err != nil {
		return Source{}, err
	}
	if info, err := os.Stat(filepath.Join(dir, ownFolder)); err == nil && info.IsDir() {
		source.Own = filepath.Join(dir, ownFolder)
	}
	if source.Patches, err = list(filepath.Join(dir, "patches"), patchForm); err != nil {
		return Source{}, err
	}
	if err := source.check(); err != nil {
		return Source{}, fmt.Errorf("%s: %w", source.File(), err)
	}
	if err := source.loadNotices(); err != nil {
		return Source{}, err
	}
	source.setAside()
	return source, nil
}

// ownFolder is the folder of a source of this repository.
const ownFolder = "src"

// checkOwn makes sure that a source of this repository says what it cannot be asked for,
// and that no other one does.
func (s Source) checkOwn() error {
	switch {
	case s.Own == "" && !s.Time.IsZero():
		return errors.New("time is that of a source in the folder src, and there is none")
	case s.Own == "":
		return nil
	case s.Time.IsZero():
		return errors.New("time is missing: that of the version in the folder src")
	case len(s.Releases)+len(s.Patches) > 0:
		return errors.New("what is in the folder src has neither releases to know nor patches: change it there")
	}
	return nil
}

// loadTools reads what all sources are built with.
func (s *Source) loadTools() error {
	file := s.common("tools.yaml")
	var tools struct {
		Toolchain Toolchain
		Tools     Tools
	}
	if err := Decode(file, &tools); err != nil {
		return err
	}
	s.Toolchain, s.Tools = tools.Toolchain, tools.Tools
	if err := errors.Join(s.Toolchain.check(), s.Tools.check(), s.Tools.checkLinked()); err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	return nil
}

// LoadTools reads a file of nothing but programs in their versions.
func LoadTools(path string) (Tools, error) {
	var tools Tools
	if err := Decode(path, &tools); err != nil {
		return Tools{}, err
	}
	if err := tools.check(); err != nil {
		return Tools{}, fmt.Errorf("%s: %w", path, err)
	}
	return tools, nil
}

func (s Source) check() error {
	var errs []error
	for field, value := range map[string]string{
		"title": s.Title, "summary": s.Summary, "description": s.Description,
		"module": s.Module, "homepage": s.Homepage, "repository": s.Repository, "maintainer": s.Maintainer,
		"vendor": s.Vendor, "versionVariable": s.VersionVariable,
	} {
		if value == "" {
			errs = append(errs, fmt.Errorf("%s is missing", field))
		}
	}
	if s.Release < 1 {
		errs = append(errs, fmt.Errorf("release is %d, not 1 or more", s.Release))
	}
	errs = append(errs, CheckVersion(s.Version), s.checkOwn(), s.checkWaits(), s.Steps.check(), s.Supported.check())
	for _, allowance := range s.Allow {
		if allowance.Module == "" {
			errs = append(errs, errors.New("allow: an entry names no module"))
		}
	}
	for version, pin := range s.Releases {
		errs = append(errs, CheckVersion(version))
		if !commitForm.MatchString(pin.Commit) {
			errs = append(errs, fmt.Errorf("releases: %s: commit %q is not 40 hexadecimal digits", version, pin.Commit))
		}
		if pin.Sum == "" || pin.Time.IsZero() {
			errs = append(errs, fmt.Errorf("releases: %s: sum and time are needed", version))
		}
	}
	return errors.Join(errs...)
}

// setAside moves what nobody has decided out of what is allowed.
func (s *Source) setAside() {
	var decided []Allowance
	for _, allowance := range s.Allow {
		if strings.TrimSpace(allowance.Reason) == "" {
			s.Undecided = append(s.Undecided, allowance)
		} else {
			decided = append(decided, allowance)
		}
	}
	s.Allow = decided
}

// undecided names each decision that is open.
func (s Source) undecided() error {
	var errs []error
	for _, open := range s.Undecided {
		errs = append(errs, fmt.Errorf("allow: %s: the reason is empty: read the license, and write why it may be shipped", strings.TrimSpace(open.Module+" "+open.File)))
	}
	return errors.Join(errs...)
}

func (t Toolchain) check() error {
	var errs []error
	if !goForm.MatchString(t.Version) {
		errs = append(errs, fmt.Errorf("toolchain: version %q is not of the form go1.26.8", t.Version))
	}
	if len(t.Sums) == 0 {
		errs = append(errs, errors.New("toolchain: sums are needed"))
	}
	for host, sum := range t.Sums {
		if !hostForm.MatchString(host) || !sumForm.MatchString(sum) {
			errs = append(errs, fmt.Errorf("toolchain: sums: %s: %q is not of the form linux-amd64: h1:BASE64", host, sum))
		}
	}
	return errors.Join(errs...)
}

func (t Tools) check() error {
	var errs []error
	if !suiteForm.MatchString(t.Suite) {
		errs = append(errs, fmt.Errorf("tools: suite %q is not one of Debian's, such as bookworm", t.Suite))
	}
	if !snapshotForm.MatchString(t.Snapshot) {
		errs = append(errs, fmt.Errorf("tools: snapshot %q is not of the form 20261128T000000Z", t.Snapshot))
	}
	if len(t.Native)+len(t.Cross) == 0 {
		errs = append(errs, errors.New("tools: native: the versions of packages are needed"))
	}
	for _, versions := range append(slices.Collect(maps.Values(t.Cross)), t.Native) {
		for name, version := range versions {
			if !packageForm.MatchString(name) || !debVersionForm.MatchString(version) {
				errs = append(errs, fmt.Errorf("tools: %s: %q is no package with a version of Debian's", name, version))
			}
		}
	}
	return errors.Join(errs...)
}

func (t Tools) checkLinked() error {
	var errs []error
	if len(t.Linked) == 0 || len(t.Compilers) == 0 {
		errs = append(errs, errors.New("tools: linked and compilers: what programs with C are made of, and by, is needed"))
	}
	for _, name := range append(slices.Collect(maps.Values(t.Linked)), t.Compilers...) {
		if t.version(name) == "" {
			errs = append(errs, fmt.Errorf("tools: linked and compilers: %s has no version in native", name))
		}
	}
	for _, arch := range slices.Sorted(maps.Keys(t.Others)) {
		if err := errors.Join(t.Others[arch].check(), t.Others[arch].checkLinked()); err != nil {
			errs = append(errs, fmt.Errorf("tools: others: %s: %w", arch, err))
		}
	}
	return errors.Join(errs...)
}

// Decode reads a YAML file of one document into value; a key that value does not
// have is an error, so that a slip of the pen is not silently nothing.
func Decode(path string, value any) error {
	content, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("reading a definition: %w", err)
	}
	decoder := yaml.NewDecoder(bytes.NewReader(content))
	decoder.KnownFields(true)
	if err := decoder.Decode(value); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	if err := decoder.Decode(new(any)); !errors.Is(err, io.EOF) {
		return fmt.Errorf("%s: more than one document", path)
	}
	return nil
}

// list gives the paths of dir's files in order of name. All must have the
// given form; a folder that is not there has no files.
func list(dir string, form *regexp.Regexp) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading definitions: %w", err)
	}
	var paths []string
	for _, entry := range entries {
		path := filepath.Join(dir, entry.Name())
		if !entry.Type().IsRegular() || !form.MatchString(entry.Name()) {
			return nil, fmt.Errorf("%s is not a file whose name is of the form %s", path, form)
		}
		paths = append(paths, path)
	}
	return paths, nil
}
