// Package distro turns tests/distros.yaml into containers, runs the scenarios
// of tests/scenarios in them, and reports what happened.
//
// A row of the file is one distribution release. For each scenario a row gets
// a fresh container, booted with systemd as PID 1 and cut off from every
// network, so that scenarios depend neither on each other nor on a mirror.
package distro

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// Row is one distribution release that the packages are tested on.
type Row struct {
	Name   string `yaml:"name"`
	Format Format `yaml:"format"`
	// Manager is the package manager, where a format has several: dnf (the
	// default) or zypper.
	Manager       string   `yaml:"client"`
	Image         Image    `yaml:"image"`
	Architectures []string `yaml:"architectures"` // Go's names: amd64, arm64
	Tier          Tier     `yaml:"tier"`
	EndOfLife     Date     `yaml:"end-of-life"`
}

// Image is the recipe of a row's root file system.
type Image struct {
	Suite    string   `yaml:"suite"`    // Debian suite for mmdebstrap
	Packages []string `yaml:"packages"` // installed on top of the minimal base
	// StandIn says that the root is a Debian with another family's package
	// manager: its package database is empty, and the scenarios install a
	// package that provides what such a distribution would.
	StandIn bool `yaml:"stand-in"`
	// AnyAge takes package lists whose date has passed, as a mirror that lags
	// has them of a moving suite. The setting stays in the root.
	AnyAge bool `yaml:"any-age"`
}

// Format is a package format.
type Format string

// The formats that the scenarios have a vocabulary for.
const (
	Deb Format = "deb"
	RPM Format = "rpm"
)

// Tier says what a failure of a row means.
type Tier string

// The tiers: a blocking row stops a release, an informing one is only shown.
const (
	Blocking  Tier = "blocking"
	Informing Tier = "informing"
)

// Date is a day, written 2006-01-02.
type Date struct{ time.Time }

// UnmarshalYAML reads the day.
func (d *Date) UnmarshalYAML(node *yaml.Node) error {
	day, err := time.Parse(time.DateOnly, node.Value)
	if err != nil {
		return fmt.Errorf("line %d: %q is not a day of the form 2006-01-02", node.Line, node.Value)
	}
	d.Time = day
	return nil
}

// Load reads the rows of a distros.yaml. A key that it does not know, or a
// value that is not exactly of the expected form, is an error that names it.
func Load(path string) ([]Row, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading the distributions: %w", err)
	}
	rows, err := parse(data)
	if err != nil {
		return nil, fmt.Errorf("reading the distributions of %s: %w", path, err)
	}
	return rows, nil
}

func parse(data []byte) ([]Row, error) {
	var rows []Row
	if err := decode(data, &rows); err != nil {
		return nil, err
	}
	if len(rows) == 0 {
		return nil, errors.New("there is no row")
	}
	var errs []error
	for i, row := range rows {
		if err := row.validate(); err != nil {
			errs = append(errs, fmt.Errorf("row %d (%s): %w", i+1, row.Name, err))
		}
		if slices.ContainsFunc(rows[:i], func(r Row) bool { return r.Name == row.Name }) {
			errs = append(errs, fmt.Errorf("row %d: the name %q is taken", i+1, row.Name))
		}
	}
	return rows, errors.Join(errs...)
}

// decode reads YAML; an unknown key is an error, and an empty text nothing.
func decode(data []byte, value any) error {
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	decoder.KnownFields(true)
	if err := decoder.Decode(value); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	return nil
}

// The forms of what ends up in command lines, file names and container names.
var (
	rowName     = regexp.MustCompile(`^[a-z0-9]+([.-][a-z0-9]+)*$`)
	suiteName   = regexp.MustCompile(`^[a-z]+$`)
	packageName = regexp.MustCompile(`^[a-z0-9][a-z0-9+.-]+$`)
)

var (
	formats       = []Format{Deb, RPM}
	clients       = map[Format][]string{Deb: {"apt"}, RPM: {"dnf", "zypper"}}
	tiers         = []Tier{Blocking, Informing}
	architectures = []string{"amd64", "arm64"}
)

func (r Row) validate() error {
	var errs []error
	add := func(wrong bool, format string, args ...any) {
		if wrong {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	add(!rowName.MatchString(r.Name), "name %q is not of the form debian-12", r.Name)
	add(!slices.Contains(formats, r.Format), "format %q is not one of %v", r.Format, formats)
	add(!slices.Contains(clients[r.Format], r.Client()), "client %q is not one of %v", r.Manager, clients[r.Format])
	add(!suiteName.MatchString(r.Image.Suite), "image: suite %q is not a Debian suite", r.Image.Suite)
	for _, name := range r.Image.Packages {
		add(!packageName.MatchString(name), "image: %q is not a package name", name)
	}
	add(len(r.Architectures) == 0, "there is no architecture")
	for _, arch := range r.Architectures {
		add(!slices.Contains(architectures, arch), "architecture %q is not one of %v", arch, architectures)
	}
	add(!slices.Contains(tiers, r.Tier), "tier %q is not one of %v", r.Tier, tiers)
	add(r.EndOfLife.IsZero(), "there is no end-of-life")
	return errors.Join(errs...)
}

// suffixes is how each format's file names end, by Go's architecture name.
var suffixes = map[Format]map[string]string{
	Deb: {"amd64": "_amd64.deb", "arm64": "_arm64.deb"},
	RPM: {"amd64": ".x86_64.rpm", "arm64": ".aarch64.rpm"},
}

// Place is a row on one architecture.
type Place struct {
	Row
	Arch string // Go's name
}

// Name is what reports call the place: the row's, with the architecture where
// that is not the usual one.
func (p Place) Name() string {
	if p.Arch == "amd64" {
		return p.Row.Name
	}
	return p.Row.Name + "-" + p.Arch
}

// patience is how many times longer than usual everything may take: an
// emulated processor is slow.
func (p Place) patience() int {
	if p.Arch == runtime.GOARCH {
		return 1
	}
	return 8
}

// Client is the package manager: apt, dnf or zypper.
func (r Row) Client() string {
	switch {
	case r.Manager != "":
		return r.Manager
	case r.Format == Deb:
		return "apt"
	}
	return "dnf"
}

// Select picks from package files those that a row of this format installs on
// the given architecture.
func (r Row) Select(files []string, arch string) []string {
	suffix, known := suffixes[r.Format][arch]
	var picked []string
	for _, file := range files {
		if known && strings.HasSuffix(file, suffix) {
			picked = append(picked, file)
		}
	}
	return picked
}

// Scenarios lists the scenarios in a folder, by name.
func Scenarios(dir string) ([]string, error) {
	scripts, err := filepath.Glob(filepath.Join(dir, "*.sh"))
	if err != nil {
		return nil, fmt.Errorf("listing the scenarios: %w", err)
	}
	if len(scripts) == 0 {
		return nil, fmt.Errorf("there is no scenario in %s", dir)
	}
	names := make([]string, len(scripts))
	for i, script := range scripts {
		names[i] = strings.TrimSuffix(filepath.Base(script), ".sh")
	}
	return names, nil
}
