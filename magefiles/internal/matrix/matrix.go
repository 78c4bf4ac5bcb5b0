// Package matrix is where the packages are tested: the rows of tests/distros.yaml,
// and the targets that they make.
//
// A row of the file is one distribution release, and a target is a row on one
// architecture.
package matrix

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/architecture"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/format"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pkgdef"
)

// Distribution is one distribution release that the packages are tested on.
type Distribution struct {
	Name   string `yaml:"name"`
	Format string `yaml:"format"`
	// Manager is the package manager, where a format has several: dnf (the
	// default) or zypper.
	Manager       string   `yaml:"client"`
	Image         Image    `yaml:"image"`
	Architectures []string `yaml:"architectures"` // Go's names, such as amd64
	Tier          Tier     `yaml:"tier"`
	EndOfLife     Date     `yaml:"end-of-life"`
	// Scenarios are the only ones that are played here, which are played nowhere else:
	// the row is another one with more in its root. Empty means all others.
	Scenarios []string `yaml:"scenarios"`
}

// Image is the recipe of a row's root file system: one that mmdebstrap makes of
// a suite, or one that a registry has.
type Image struct {
	Suite string `yaml:"suite"` // Debian suite for mmdebstrap
	// Reference is name:tag, as in Docker's default registry, or begins with the
	// host of another.
	Reference string `yaml:"reference"`
	// Digest pins the reference to one image, or to one list of images for several
	// architectures. Without it the tag decides.
	Digest   string   `yaml:"digest"`
	Packages []string `yaml:"packages"` // installed on top of the minimal base
	// StandIn says that the root is a Debian with another family's package
	// manager: its package database is empty, and the scenarios install a
	// package that provides what such a distribution would.
	StandIn bool `yaml:"stand-in"`
	// AnyAge takes package lists whose date has passed, as a mirror that lags
	// has them of a moving suite. The setting does not stay in the root, where a
	// repository of ours that has expired must be refused.
	AnyAge bool `yaml:"any-age"`
	// Tools are a source's: the root has just their versions, from the archive's
	// snapshot where that can be reached. Nil where it may have any.
	Tools *pkgdef.Tools `yaml:"-"`
}

// Tier says what a failure of a row means.
type Tier string

// The tiers: a blocking row stops a release, an informing one is only shown.
const (
	Blocking  Tier = "blocking"
	Informing Tier = "informing"
)

// Date is a day, written 2006-01-02, or as rolling: one that never comes.
type Date struct{ time.Time }

// rolling is the end of life of what is not released but moves on.
var rolling = time.Date(9999, time.December, 31, 0, 0, 0, 0, time.UTC)

// UnmarshalYAML reads the day.
func (d *Date) UnmarshalYAML(node *yaml.Node) error {
	if node.Value == "rolling" {
		d.Time = rolling
		return nil
	}
	day, err := time.Parse(time.DateOnly, node.Value)
	if err != nil {
		return fmt.Errorf("line %d: %q is neither a day of the form 2006-01-02 nor rolling", node.Line, node.Value)
	}
	d.Time = day
	return nil
}

// Load reads the rows of a distros.yaml. A key that it does not know, or a
// value that is not exactly of the expected form, is an error that names it.
func Load(path string) ([]Distribution, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading the distributions: %w", err)
	}
	rows, err := Parse(data)
	if err != nil {
		return nil, fmt.Errorf("reading the distributions of %s: %w", path, err)
	}
	return rows, nil
}

// Parse is Load of what a file holds.
func Parse(data []byte) ([]Distribution, error) {
	var rows []Distribution
	if err := Decode(data, &rows); err != nil {
		return nil, err
	}
	if len(rows) == 0 {
		return nil, errors.New("there is no row")
	}
	var errs []error
	for i, row := range rows {
		if err := row.Validate(); err != nil {
			errs = append(errs, fmt.Errorf("row %d (%s): %w", i+1, row.Name, err))
		}
		if slices.ContainsFunc(rows[:i], func(r Distribution) bool { return r.Name == row.Name }) {
			errs = append(errs, fmt.Errorf("row %d: the name %q is taken", i+1, row.Name))
		}
	}
	return rows, errors.Join(errs...)
}

// Decode reads YAML; an unknown key is an error, and an empty text nothing.
func Decode(data []byte, value any) error {
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	decoder.KnownFields(true)
	if err := decoder.Decode(value); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	return nil
}

// The forms of what ends up in command lines, file names and container names. A
// reference's host is what Docker takes for one: a first part with a dot.
var (
	reference   = regexp.MustCompile(`^([a-z0-9-]+(\.[a-z0-9-]+)+/)?([a-z0-9]+([_-][a-z0-9]+)*/)?[a-z0-9]+([._-][a-z0-9]+)*:[A-Za-z0-9_][A-Za-z0-9_.-]*$`)
	digest      = regexp.MustCompile(`^sha256:[0-9a-f]{64}$`)
	rowName     = regexp.MustCompile(`^[a-z0-9]+([.-][a-z0-9]+)*$`)
	suiteName   = regexp.MustCompile(`^[a-z]+$`)
	packageName = regexp.MustCompile(`^[a-z0-9][a-z0-9+.-]+$`)
)

var (
	tiers         = []Tier{Blocking, Informing}
	architectures = architecture.Names(architecture.All())
)

// Validate says what of a row is not exactly of the expected form.
func (r Distribution) Validate() error {
	var errs []error
	add := func(wrong bool, format string, args ...any) {
		if wrong {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	add(!rowName.MatchString(r.Name), "name %q is not of the form debian-12", r.Name)
	add(!slices.Contains(Formats(), r.Format), "format %q is not one of %v", r.Format, Formats())
	add(!slices.Contains(r.Packaging().Clients, r.Client()), "client %q is not one of %v", r.Manager, r.Packaging().Clients)
	if err := r.Image.Validate(); err != nil {
		errs = append(errs, fmt.Errorf("image: %w", err))
	}
	add(len(r.Architectures) == 0, "there is no architecture")
	for _, arch := range r.Architectures {
		add(!slices.Contains(architectures, arch), "architecture %q is not one of %v", arch, architectures)
	}
	add(!slices.Contains(tiers, r.Tier), "tier %q is not one of %v", r.Tier, tiers)
	add(r.EndOfLife.IsZero(), "there is no end-of-life")
	return errors.Join(errs...)
}

// Formats are those that the scenarios have a vocabulary for.
func Formats() (names []string) {
	for _, f := range format.All() {
		if len(f.Clients) > 0 {
			names = append(names, f.Name)
		}
	}
	return names
}

// Packaging is what is known of the row's format; Validate has made sure that it is one.
func (r Distribution) Packaging() format.Format {
	found, _ := format.Find(r.Format)
	return found
}

// Validate says what of an image's recipe is not exactly of the expected form.
func (i Image) Validate() error {
	switch {
	case (i.Suite == "") == (i.Reference == ""):
		return errors.New("it needs a suite or a reference, and not both")
	case i.Suite != "" && !suiteName.MatchString(i.Suite):
		return fmt.Errorf("suite %q is not a Debian suite", i.Suite)
	case i.Reference != "" && (!reference.MatchString(i.Reference) || strings.HasPrefix(i.Reference, "localhost/")):
		return fmt.Errorf("reference %q is not of the form fedora:44, owner/name:tag or host.example/owner/name:tag", i.Reference)
	case i.Digest != "" && (i.Reference == "" || !digest.MatchString(i.Digest)):
		return fmt.Errorf("digest %q is not of the form sha256:... of a reference", i.Digest)
	case i.Reference != "" && (i.StandIn || i.AnyAge):
		return errors.New("stand-in and any-age belong to a suite")
	}
	for _, name := range i.Packages {
		if !packageName.MatchString(name) {
			return fmt.Errorf("%q is not a package name", name)
		}
	}
	return nil
}

// Installed are the packages to install, sorted, so that the order in the file does not
// matter. The tools are named with their versions, as apt-get takes them: it fails where
// it has others only.
func (i Image) Installed() []string {
	packages := slices.Clone(i.Packages)
	if i.Tools != nil {
		packages = slices.DeleteFunc(packages, func(name string) bool { return i.Tools.Native[name] != "" })
		for name, version := range i.Tools.Native {
			packages = append(packages, name+"="+version)
		}
	}
	return slices.Compact(slices.Sorted(slices.Values(packages)))
}

// Target is a row on one architecture.
type Target struct {
	Distribution
	Arch string // Go's name
}

// Name is what reports call the target: the row's, with the architecture where
// that is not the usual one.
func (t Target) Name() string {
	if t.Arch == architecture.Usual().Go {
		return t.Distribution.Name
	}
	return t.Distribution.Name + "-" + t.Arch
}

// Emulated is whether the target's programs are another architecture's.
func (t Target) Emulated() bool { return t.Arch != runtime.GOARCH }

// Hosted is whether there are hosted machines of the target's architecture; without one
// its programs are emulated wherever they are tested.
func (t Target) Hosted() bool { return architecture.Of(t.Arch).Runner != "" }

// Client is the package manager: apt, dnf or zypper; empty where the format has none.
func (r Distribution) Client() string {
	clients := r.Packaging().Clients
	if r.Manager != "" || len(clients) == 0 {
		return r.Manager
	}
	return clients[0]
}

// Plays are those of scenarios that are played at a row; only has the names of those
// that some row alone plays.
func (r Distribution) Plays(scenarios, only []string) []string {
	return slices.DeleteFunc(slices.Clone(scenarios), func(name string) bool {
		if len(r.Scenarios) > 0 {
			return !slices.Contains(r.Scenarios, name)
		}
		return slices.Contains(only, name)
	})
}

// Special are the scenarios that some row alone plays.
func Special(rows []Distribution) (names []string) {
	for _, row := range rows {
		names = append(names, row.Scenarios...)
	}
	return slices.Compact(slices.Sorted(slices.Values(names)))
}

// Select picks from package files those that a row of this format installs on
// the given architecture.
func (r Distribution) Select(files []string, arch string) []string {
	own, every := r.Packaging().Ending(arch), r.Packaging().Ending(pkgdef.EveryArch)
	var picked []string
	for _, file := range files {
		if strings.HasSuffix(file, own) || strings.HasSuffix(file, every) {
			picked = append(picked, file)
		}
	}
	return picked
}

// Ended names each row whose last day of support has passed.
func Ended(rows []Distribution, now time.Time) error {
	var errs []error
	for _, row := range rows {
		if !now.Before(row.EndOfLife.AddDate(0, 0, 1)) {
			errs = append(errs, fmt.Errorf("row %s: support ended on %s: take the row out, or correct its end-of-life",
				row.Name, row.EndOfLife.Format(time.DateOnly)))
		}
	}
	return errors.Join(errs...)
}

// distribution is the part of a row's name that all releases of one have.
var distribution = regexp.MustCompile(`^[a-z]+`)

// Newest are the places with the newest release of each distribution that an
// architecture has: of the rows that block a release and are no stand-ins, those
// that are supported longest.
func Newest(rows []Distribution, arch string) []Target {
	var places []Target
	newest := map[string]int{} // index in places
	for _, row := range rows {
		if row.Tier != Blocking || row.Image.StandIn || len(row.Scenarios) > 0 || !slices.Contains(row.Architectures, arch) {
			continue
		}
		name := distribution.FindString(row.Name)
		i, known := newest[name]
		switch {
		case !known:
			newest[name] = len(places)
			places = append(places, Target{row, arch})
		case row.EndOfLife.After(places[i].EndOfLife.Time):
			places[i] = Target{row, arch}
		}
	}
	return places
}

// Jobs are the targets of the rows, with the hosted machines on which they are tested, as
// JSON for a workflow's strategy.matrix. A row there is what -row= takes.
func Jobs(rows []Distribution) ([]byte, error) {
	type job struct {
		Distribution string `json:"row"`
		Arch         string `json:"arch"`
		Runner       string `json:"runner"`
		Emulated     bool   `json:"emulated"`
		Tier         Tier   `json:"tier"`
	}
	var matrix struct {
		Include []job `json:"include"`
	}
	for _, row := range rows {
		for _, arch := range row.Architectures {
			target := Target{row, arch}
			matrix.Include = append(matrix.Include, job{target.Name(), arch, architecture.Of(arch).Hosted(), !target.Hosted(), row.Tier})
		}
	}
	return json.Marshal(matrix)
}
