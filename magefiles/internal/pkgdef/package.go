package pkgdef

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pkgdef/scriptlets"
)

// Package is one binary package, read from packages/<name>/ and units/<name>/. One
// without a command has no program: it brings others along, with examples that put them
// together.
type Package struct {
	Name        string `yaml:"-"` // the folder's name
	Source      string // the folder under srpm/ that it is built from
	Command     string // main package in the source, such as cmd/spire-server; . is its root; empty without a program
	Summary     string // one line, no article, no full stop
	Description string // paragraphs
	Section     string // Debian's section
	// Config are the configuration files, kept when their admin changed them.
	Config []Config
	// Libraries are the licenses of linked-in parts that are no Go modules.
	Libraries []Library
	// Exposure is the most that `systemd-analyze security` may say of the
	// package's services, from 0 (all closed) to 10.
	Exposure float64
	// Recommends are packages, of the same name in every format, without which
	// some of the package's uses do not work.
	Recommends []string
	// Suggests are packages that it can be of use with.
	Suggests []string
	// Succeeds names packages of other packagers whose place this one takes.
	Succeeds []string
	// Adopts are configuration files that came with those packages and stay,
	// for this one reads them too. An rpm has to say so of each, or it goes with
	// the package that brought it.
	Adopts []string
	// State names the folder below /var/lib/spire in which each of the package's
	// units has a folder of its own. What makes and moves these is installed.
	State string
	// Plugin is set where the program is a plugin of SPIRE's.
	Plugin *Plugin
	// Shares are units in the folder units/ itself, which other packages bring
	// too, each for itself.
	Shares []string
	// TPM is whether an instance that another packager's ran as root may ask for
	// the TPM, which the package's unit then has to let it have.
	TPM bool
	// Purge are state folders that a deb's purge removes, Keep those that it
	// leaves in place, and says so. An rpm has no purge: it removes neither.
	Purge []string
	Keep  []string

	Units Units `yaml:"-"`
	// Fixed are the entries whose content does not depend on the version. Beside them
	// are those of the service manager that a format's machines have: Systemd or OpenRC.
	Fixed, Systemd, OpenRC []Entry `yaml:"-"`
	// Manual is the path of the hand-written part of the man page, which a program has.
	Manual string `yaml:"-"`
	// Test is the path of the script, for the scenario of single packages, that tries
	// what the package promises; empty where there is none.
	Test string `yaml:"-"`
	// Lintian is the path of the overrides that all debs have in common.
	Lintian string `yaml:"-"`
}

// The files among the packages' folders, which several packages have.
const (
	lintianOverrides = "lintian-overrides"
	stateProgram     = "state.sh"
	openRCFunctions  = "openrc.sh"
)

// Config is a configuration file: where it is in the package's folder, and
// where it is installed.
type Config struct {
	File string
	Path string
}

// Library is a part that is no Go module, linked in or, of a package without a program,
// all that it has. The text of its license is
// in srpm/<source>/licenses/<name>.
type Library struct {
	Name string
	// Place is where its source is in the vendored tree; empty if it is not.
	Place string
}

// HasProgram is false for a package that is the same on every architecture.
func (p Package) HasProgram() bool { return p.Command != "" }

// EveryArch is nfpm's name for the architecture of what is the same on all of them.
const EveryArch = "all"

// Arch is the architecture of the package's files that a build for one makes.
func (p Package) Arch(arch string) string {
	if p.HasProgram() {
		return arch
	}
	return EveryArch
}

// Programs are the packages that have one.
func Programs(packages []Package) []Package {
	return slices.DeleteFunc(slices.Clone(packages), func(p Package) bool { return !p.HasProgram() })
}

// Binary is the name of the package's program when installed. A plugin is beside others of
// SPIRE's.
func (p Package) Binary() string {
	if p.Plugin != nil {
		return strings.TrimPrefix(p.Name, "spire-")
	}
	return p.Name
}

// Program is where that is installed.
func (p Package) Program() string {
	if p.Plugin != nil {
		return pluginDir + p.Binary()
	}
	return "/usr/bin/" + p.Binary()
}

// ManSection is the section of the package's man page: a plugin is nothing to call.
func (p Package) ManSection() int {
	if p.Plugin != nil {
		return 7
	}
	return 1
}

// ManPage is where it is installed.
func (p Package) ManPage() string {
	return fmt.Sprintf("/usr/share/man/man%d/%s.%d%s", p.ManSection(), p.Name, p.ManSection(), Zipped)
}

// Built is the name that `go build` gives the package's command.
func (p Package) Built() string { return Built(p.Source, p.Command) }

// Built is the name that `go build` gives a command of a source. One whose main package
// is the module's root is called as the module, and so has to be the source.
func Built(source, command string) string {
	if command == "." {
		return source
	}
	return path.Base(command)
}

// Kind says what a package manager is told about an entry.
type Kind string

// The kinds of entries.
const (
	File    Kind = "file"
	Conf    Kind = "config"  // kept when changed by the admin
	Doc     Kind = "doc"     // may be left out on request
	License Kind = "license" // is always installed
	Ghost   Kind = "ghost"   // configuration that is not brought, but kept
	Dir     Kind = "dir"
)

// Entry is one path of an installed package. All entries belong to root:root.
type Entry struct {
	Path string // absolute, slash-separated
	Kind Kind
	Mode fs.FileMode
	From string // file that holds the content; empty for a Dir or a Ghost
}

// Load reads all packages of programs below root, in order of name.
// LoadKeyrings reads the others.
func Load(root string) ([]Package, error) {
	programs, _, err := folders(root)
	if err != nil {
		return nil, err
	}
	var packages []Package
	var errs []error
	for _, folder := range programs {
		p, err := loadPackage(root, folder.Name())
		packages, errs = append(packages, p), append(errs, err)
	}
	return packages, errors.Join(append(errs, checkUnitFolders(root, packages))...)
}

// folders are what is in packages/, by the kind of package.
func folders(root string) (programs, keyrings []fs.DirEntry, err error) {
	dir := filepath.Join(root, "packages")
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, nil, fmt.Errorf("reading the packages: %w", err)
	}
	for _, entry := range entries {
		switch {
		case entry.Name() == lintianOverrides, entry.Name() == stateProgram, entry.Name() == openRCFunctions:
		case peek(root, entry.Name()).Keyring != nil:
			keyrings = append(keyrings, entry)
		default:
			programs = append(programs, entry)
		}
	}
	return programs, keyrings, nil
}

// checkUnitFolders finds units, and folders of them, that no package would ship.
func checkUnitFolders(root string, packages []Package) error {
	entries, err := os.ReadDir(filepath.Join(root, "units"))
	if err != nil {
		return fmt.Errorf("reading the units: %w", err)
	}
	for _, entry := range entries {
		name := entry.Name()
		if !slices.ContainsFunc(packages, func(p Package) bool { return p.Name == name || slices.Contains(p.Shares, name) }) {
			return fmt.Errorf("units/%s belongs to no folder in packages that has a program", name)
		}
	}
	return nil
}

func loadPackage(root, name string) (Package, error) {
	dir, err := packageDir(root, name)
	if err != nil {
		return Package{}, err
	}
	p, known := Package{Name: name}, []string{"package.yaml", "examples", testScript}
	if err := Decode(filepath.Join(dir, "package.yaml"), &p); err != nil {
		return p, err
	}
	if p.HasProgram() {
		p.Manual, known = filepath.Join(dir, manualText), append(known, manualText)
	}
	if err := p.check(dir); err != nil {
		return p, fmt.Errorf("%s: %w", filepath.Join(dir, "package.yaml"), err)
	}
	if err := p.checkNoUnits(root); err != nil {
		return p, err
	}
	if p.Units, err = loadUnits(filepath.Join(root, "units"), name, p.Shares); err != nil {
		return p, err
	}
	examples, err := tree(filepath.Join(dir, "examples"), p.examplesDir())
	if err == nil {
		err = p.checkSnippet(examples)
	}
	if err != nil {
		return p, err
	}
	p.Lintian = filepath.Join(root, "packages", lintianOverrides)
	p.Fixed = append(p.configEntries(dir), examples...)
	p.Systemd = append(p.Units.entries(p.examplesDir()), p.stateEntries(root)...)
	p.OpenRC = p.openRCEntries(root)
	if test := filepath.Join(dir, testScript); regular(test) == nil {
		p.Test = test
	}
	return p, strayFiles(dir, p.Config, known...)
}

// The files beside a package's definition: the hand-written part of its man page, and
// its own test.
const (
	manualText = "man.md"
	testScript = "test.sh"
)

// packageDir is the folder of the package of the given name.
func packageDir(root, name string) (string, error) {
	dir := filepath.Join(root, "packages", name)
	if !nameForm.MatchString(name) {
		return "", fmt.Errorf("%s: a package's name is lower-case letters, digits and hyphens", dir)
	}
	return dir, nil
}

func (p Package) check(dir string) error {
	errs := missing(map[string]string{
		"source": p.Source, "summary": p.Summary, "description": p.Description, "section": p.Section,
	})
	if p.HasProgram() {
		errs = append(errs, regular(p.Manual))
		if !fs.ValidPath(p.Command) {
			errs = append(errs, fmt.Errorf("command %q is not a plain path inside the source", p.Command))
		}
	} else if p.State != "" || p.Exposure > 0 {
		errs = append(errs, errors.New("it has no command, and so neither state nor services with an exposure"))
	}
	errs = append(errs, checkSummary(p.Summary), p.checkPlugin())
	for _, config := range p.Config {
		errs = append(errs, checkInstalled(config.Path, "/etc/"), checkFile(dir, config.File))
	}
	for _, place := range p.Adopts {
		errs = append(errs, checkInstalled(place, "/etc/"))
	}
	for _, place := range slices.Concat(p.Purge, p.Keep) {
		errs = append(errs, checkInstalled(place, "/var/lib/", "/var/log/", "/run/"))
	}
	return errors.Join(errs...)
}

// missing says which fields have no value.
func missing(fields map[string]string) []error {
	var errs []error
	for field, value := range fields {
		if value == "" {
			errs = append(errs, fmt.Errorf("%s is missing", field))
		}
	}
	return errs
}

func checkSummary(summary string) error {
	if strings.ContainsAny(summary, "\n") || strings.HasSuffix(summary, ".") || len(summary) > 79 {
		return fmt.Errorf("summary %q is not one line of at most 79 characters without a full stop", summary)
	}
	return nil
}

// checkInstalled refuses a path that is not clean or not below one of parents:
// package managers and scriptlets act on it as root.
func checkInstalled(name string, parents ...string) error {
	below := func(parent string) bool { return strings.HasPrefix(name, parent) }
	if path.Clean(name) != name || !slices.ContainsFunc(parents, below) || strings.ContainsAny(name, " *?[]$'\"\\\n") {
		return fmt.Errorf("path %q is not a clean path below %s", name, strings.Join(parents, " or "))
	}
	return nil
}

// checkFile refuses what is not a file of the package's own folder.
func checkFile(dir, name string) error {
	if !fs.ValidPath(name) {
		return fmt.Errorf("file %q is not a plain path inside the package's folder", name)
	}
	return regular(filepath.Join(dir, filepath.FromSlash(name)))
}

// regular refuses links, which would ship what is not of the repository.
func regular(name string) error {
	info, err := os.Lstat(name)
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s is not a regular file", name)
	}
	return err
}

// strayFiles finds files in a package's folder that would not be shipped: they
// are no configuration and not of the given names.
func strayFiles(dir string, configs []Config, names ...string) error {
	known := map[string]bool{}
	for _, name := range names {
		known[name] = true
	}
	for _, config := range configs {
		known[strings.Split(config.File, "/")[0]] = true
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("reading a package: %w", err)
	}
	for _, entry := range entries {
		if !known[entry.Name()] {
			return fmt.Errorf("%s is in no list of package.yaml, so it would not be shipped", filepath.Join(dir, entry.Name()))
		}
	}
	return nil
}

func (p Package) docDir() string { return "/usr/share/doc/" + p.Name }

// examplesDir is not below docDir: what a documented command copies is no
// documentation, which minimal images leave out.
func (p Package) examplesDir() string { return "/usr/share/" + p.Name + "/examples" }

func (p Package) configEntries(dir string) []Entry {
	var entries []Entry
	for _, config := range p.Config {
		entries = append(entries, Entry{Path: config.Path, Kind: Conf, Mode: 0o644, From: filepath.Join(dir, filepath.FromSlash(config.File))})
	}
	return entries
}

func (p Package) configPaths() []string {
	var paths []string
	for _, config := range p.Config {
		paths = append(paths, config.Path)
	}
	return paths
}

// stateEntries is the program of the package's state unit.
func (p Package) stateEntries(root string) []Entry {
	if p.State == "" {
		return nil
	}
	return []Entry{{Path: p.stateProgram(), Kind: File, Mode: 0o755, From: filepath.Join(root, "packages", stateProgram)}}
}

func (p Package) stateProgram() string { return "/usr/libexec/" + p.Name + "/state" }

// openRCEntries are the package's services for OpenRC, with the functions that they all
// have.
func (p Package) openRCEntries(root string) []Entry {
	if len(p.Units.inits) == 0 {
		return nil
	}
	return append(slices.Clone(p.Units.inits),
		Entry{Path: "/usr/libexec/" + p.Name + "/openrc", Kind: File, Mode: 0o644, From: filepath.Join(root, "packages", openRCFunctions)})
}

// tree lists the files below dir as files below dest. Modes come from
// here and not from the checkout, whose umask is anybody's.
func tree(dir, dest string) ([]Entry, error) {
	var entries []Entry
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	err := filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		if err := regular(name); err != nil {
			return err
		}
		relative, err := filepath.Rel(dir, name)
		entries = append(entries, Entry{Path: dest + "/" + filepath.ToSlash(relative), Kind: File, Mode: 0o644, From: name})
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("reading examples: %w", err)
	}
	return entries, nil
}

// Scriptlets is what the scriptlets' templates need to know of the package.
func (p Package) Scriptlets(source Source, version string) scriptlets.Data {
	data := scriptlets.Data{
		Name: p.Name, Version: version, Steps: p.steps(source),
		Sysusers: p.Units.Sysusers != "", SysusersLines: p.Units.Users, Tmpfiles: p.Units.Tmpfiles != "",
		Units: p.Units.Switched(), Services: p.Units.Services(), Shared: p.Shares, TPM: p.TPM, Inits: p.Units.Inits(),
		State: p.State, AppArmor: p.Units.AppArmor != "", Config: p.configPaths(), Purge: p.Purge, Keep: p.Keep,
	}
	if p.Plugin != nil {
		data.Plugin, data.Host = p.Program(), p.Plugin.Host()
	}
	return data
}

// steps are what a program's package says of upgrades; what brings it along says nothing.
func (p Package) steps(source Source) scriptlets.Steps {
	if !p.HasProgram() {
		return scriptlets.Steps{}
	}
	return scriptlets.Steps(source.Steps)
}

// Commands are the main packages that the packages' programs are built from.
func Commands(packages []Package) []string {
	commands := make([]string, 0, len(packages))
	for _, p := range Programs(packages) {
		commands = append(commands, p.Command)
	}
	return commands
}
