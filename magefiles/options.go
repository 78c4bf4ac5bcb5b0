//go:build mage

package main

import (
	"context"
	"os"
	"runtime"
	"slices"
	"strings"

	"github.com/magefile/mage/mg"
	"golang.org/x/term"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/architecture"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/artifact"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pipeline"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/run"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/suite"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/suite/subject"
)

// checkout is the pipeline of the folder that mage runs in.
func checkout() pipeline.Pipeline {
	root, err := os.Getwd()
	if err != nil {
		panic(err)
	}
	if mg.Verbose() {
		run.Echo = os.Stderr
	}
	return pipeline.Pipeline{
		Root: root, Dist: artifact.Dist(root + "/dist"), Log: os.Stderr,
		Terminal:  term.IsTerminal(int(os.Stderr.Fd())),
		Rehearsal: isOn(nil, "SPIRE_REHEARSAL"),
	}
}

// tests is the suite of the same folder.
func tests() suite.Suite {
	p := checkout()
	p.Rehearsal = true // with keys that are made for it
	return suite.Suite{Checkout: subject.Checkout{Root: p.Root, Pipeline: p, Log: os.Stderr}}
}

// options are a target's flags; where one is not given, the environment's. A source that
// has a slash in it, or is the folder itself, is a directory.
func options(version, arch, source *string, unchecked *bool) pipeline.Options {
	o := pipeline.Options{
		Source:    flag(source, "SPIRE_SOURCE"),
		Version:   flag(version, "SPIRE_VERSION"),
		Unchecked: isOn(unchecked, "SPIRE_UNCHECKED"),
		Arches:    arches(arch),
		Prebuilt:  os.Getenv("SPIRE_PREBUILT"),
		Rebuilt:   os.Getenv("SPIRE_REBUILT"),
	}
	if strings.Contains(o.Source, "/") || strings.HasPrefix(o.Source, ".") {
		o.Source, o.Dir = "", o.Source
	}
	return o
}

// allArches are the architectures that a release has.
var allArches = architecture.Names(architecture.All())

func flag(given *string, variable string) string {
	if given != nil {
		return *given
	}
	return os.Getenv(variable)
}

// isOn is a flag that is given or not; in the environment it is 1 or true.
func isOn(given *bool, variable string) bool {
	if given != nil {
		return *given
	}
	return slices.Contains([]string{"1", "true"}, os.Getenv(variable))
}

// arches are the architectures asked for; the machine's own by default.
func arches(given *string) []string {
	if several := list(given, "SPIRE_ARCH"); len(several) > 0 {
		return several
	}
	return []string{runtime.GOARCH}
}

// list is a flag of several, separated by commas.
func list(given *string, variable string) []string {
	if joined := flag(given, variable); joined != "" {
		return strings.Split(joined, ",")
	}
	return nil
}

// in is the options for the formats that a flag names; all that a release has by default.
func in(o pipeline.Options, formats *string) pipeline.Options {
	o.Formats = list(formats, "SPIRE_FORMATS")
	return o
}

func build(ctx context.Context, o pipeline.Options, formats ...string) error {
	o.Formats = formats
	return checkout().ForEach(o, func(o pipeline.Options) error {
		result, err := checkout().Build(ctx, o)
		if err == nil {
			result.Print(os.Stdout)
		}
		return err
	})
}
