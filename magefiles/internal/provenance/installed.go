package provenance

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/run"
)

// Installed lists the building machine's packages that may have a part in what
// is made, as dpkg-genbuildinfo does: the essential ones, roots, and all that
// these depend on, each with its version. roots are the packages that the
// build itself uses, such as a compiler's. The list is empty where dpkg does
// not know all of them: then something else did the work, and there is no
// .buildinfo to be written. in shows a command the place that the build is in.
func Installed(ctx context.Context, in func(run.Command) run.Command, roots ...string) ([]string, error) {
	native, err := in(run.New("dpkg", "--print-architecture")).Output(ctx)
	var failed *run.Error
	if errors.As(err, &failed) && failed.Code < 0 { // it did not start: no Debian
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("asking dpkg for the machine's architecture: %w", err)
	}
	format := "--showformat=${db:Status-Status}\t${Package}\t${Version}\t${Architecture}\t${Essential}\t${Pre-Depends}, ${Depends}\t${Provides}\n"
	known, err := in(run.New("dpkg-query", "--show", format).WithEnv("LC_ALL=C")).Output(ctx)
	if err != nil {
		return nil, fmt.Errorf("asking dpkg for what is installed: %w", err)
	}
	return closure(readInstalled(known), native, roots), nil
}

// deb is an installed package.
type deb struct {
	name, version, arch string
	essential           bool
	depends             []string // names, all alternatives
}

// installed are packages by name, and by the virtual names that they provide.
// Several may have one name: of different architectures, or providers.
type installed map[string][]deb

func readInstalled(lines string) installed {
	all := installed{}
	for line := range strings.Lines(lines) {
		fields := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		if len(fields) != 7 || fields[0] != "installed" {
			continue
		}
		d := deb{name: fields[1], version: fields[2], arch: fields[3], essential: fields[4] == "yes", depends: packageNames(fields[5])}
		for _, name := range append([]string{d.name}, packageNames(fields[6])...) {
			all[name] = append(all[name], d)
		}
	}
	return all
}

// separators are between a relation's alternatives.
var separators = regexp.MustCompile(`[,|]`)

// packageNames are the packages that a field of relations names, without
// versions and without ":any" or an architecture.
func packageNames(relations string) []string {
	var names []string
	for _, relation := range separators.Split(relations, -1) {
		name, _, _ := strings.Cut(strings.TrimSpace(relation), " ")
		if name, _, _ = strings.Cut(name, ":"); name != "" {
			names = append(names, name)
		}
	}
	return names
}

// closure follows the dependencies. Which alternative or provider of a name
// was used nobody can tell, so all that are installed are listed.
func closure(all installed, native string, roots []string) []string {
	for _, root := range roots {
		if len(all[root]) == 0 {
			return nil
		}
	}
	next := append(all.essential(), roots...)
	listed, seen := map[string]bool{}, map[string]bool{}
	for len(next) > 0 {
		name := next[0]
		next = next[1:]
		if seen[name] {
			continue
		}
		seen[name] = true
		for _, d := range all[name] {
			listed[d.qualified(native)+" (= "+d.version+")"] = true
			next = append(next, d.depends...)
		}
	}
	return slices.Sorted(maps.Keys(listed))
}

func (all installed) essential() []string {
	var names []string
	for name, debs := range all {
		if slices.ContainsFunc(debs, func(d deb) bool { return d.essential && d.name == name }) {
			names = append(names, name)
		}
	}
	return names
}

// qualified is the package's name, with its architecture where that is not the
// machine's own.
func (d deb) qualified(native string) string {
	if d.arch == native || d.arch == "all" {
		return d.name
	}
	return d.name + ":" + d.arch
}
