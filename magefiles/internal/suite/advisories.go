package suite

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/artifact"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/osv"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/provenance"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/suite/tally"
)

// foreign are the names by which OSV knows what is no Go module. Nobody keeps
// advisories under the names of such libraries themselves: Alpine's are those of a
// distribution whose own C library is musl, and which fixes in upstream's versions.
var foreign = map[string][]osv.Package{
	"musl": {{Ecosystem: "Alpine", Name: "musl"}},
	// By Debian's version, which the bills give: its fixes are in no other one.
	"gcc-12": {{Ecosystem: "Debian:12", Name: "gcc-12"}},
	"sqlite3": {
		{Ecosystem: "Alpine", Name: "sqlite"},
		{Ecosystem: "GIT", Name: "https://github.com/sqlite/sqlite"},
		{Ecosystem: "OSS-Fuzz", Name: "sqlite3"},
	},
}

// questions are what OSV is asked for about a part. A library that it would not know
// by any name is an error, and not a pass.
func questions(part provenance.Part) ([]osv.Package, error) {
	if part.Go {
		// By its own name: in a purl it is in small letters.
		return []osv.Package{{Ecosystem: "Go", Name: part.Name, Version: strings.TrimPrefix(part.Version, "v")}}, nil
	}
	names, ok := foreign[part.Name]
	if !ok {
		return nil, fmt.Errorf("nobody knows by which name OSV lists %s, which is linked in: say it in magefiles/internal/suite/advisories.go", part.Name)
	}
	var all []osv.Package
	for _, one := range names {
		one.Version = part.Version
		all = append(all, one)
	}
	return all, nil
}

// advisories asks OSV for all parts of all bills; unaccepted names what is neither
// accepted nor known already.
func (w *watch) advisories(ctx context.Context, client osv.Client) (unaccepted, err error) {
	packages, about, err := w.questions()
	if err != nil {
		return nil, err
	}
	found, err := client.Ask(ctx, packages)
	if err != nil {
		return nil, fmt.Errorf("nothing is known of the parts of the packages, which is no pass: %w", err)
	}
	var errs []error
	before := slices.Clone(w.known) // has been said
	for _, one := range packages {
		for _, advisory := range found[one] {
			v := vulnerability{id: advisory.ID, aliases: advisory.Aliases, part: about[one][0].part.Name, text: textOf(one, advisory)}
			said := slices.ContainsFunc(before, func(known *vulnerability) bool { return known.same(v) })
			var verdict error // the same in each
			for _, where := range about[one] {
				verdict = w.judge([]vulnerability{v}, where.bill)
			}
			if !said {
				errs = append(errs, verdict)
			}
		}
	}
	return errors.Join(errs...), nil
}

// asked is a part of a program that OSV is asked about, and the bill that lists it.
type asked struct {
	part provenance.Part
	bill string
}

// questions are what OSV is to be asked about, once each, and where each is linked.
func (w *watch) questions() (packages []osv.Package, about map[osv.Package][]asked, err error) {
	about = map[osv.Package][]asked{}
	for _, name := range w.sortedBills() {
		for _, part := range w.bills[name].Parts {
			some, err := questions(part)
			if err != nil {
				return nil, nil, fmt.Errorf("%s: %w", name, err)
			}
			for _, one := range some {
				if about[one] == nil {
					packages = append(packages, one)
				}
				about[one] = append(about[one], asked{part, name})
			}
		}
	}
	return packages, about, nil
}

// textOf is what OSV says of a package, on one line. It may be anything.
func textOf(p osv.Package, a osv.Advisory) string {
	text := fmt.Sprintf("%s: %s %s", a.ID, p.Name, p.Version)
	if len(a.Aliases) > 0 {
		text += " (" + strings.Join(a.Aliases, ", ") + ")"
	}
	if a.Summary != "" {
		text += fmt.Sprintf(": %.150q", a.Summary)
	}
	if len(a.Fixed) > 0 {
		text += fmt.Sprintf(", fixed in %.150q", strings.Join(a.Fixed, ", "))
	}
	return text
}

// purlOf is that of a part; empty where the bill does not list it.
func purlOf(bill provenance.Bill, name string) string {
	for _, part := range bill.Parts {
		if part.Name == name {
			return part.PURL
		}
	}
	return ""
}

// advised asks OSV for the parts of what was built. That something is found is no
// change's fault, and the nightly run keeps an issue about it: it is said aloud.
func (b built) advised(ctx context.Context, client osv.Client) error {
	w, err := b.watch(b.files(strings.TrimPrefix(artifact.CycloneDX, ".")), time.Now())
	if err != nil {
		return err
	}
	unaccepted, err := w.advisories(ctx, client)
	switch {
	case errors.As(err, new(osv.Unreachable)):
		return tally.Skip("NOT CHECKED for known vulnerabilities: " + err.Error())
	case unaccepted != nil:
		return tally.Skip("known vulnerabilities, by which `check:vulnerabilities` fails:" + tally.Indented(unaccepted.Error()))
	}
	return err
}
