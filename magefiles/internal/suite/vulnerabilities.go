package suite

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/artifact"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/osv"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pipeline"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/provenance"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/run"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/suite/tally"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/tool"
)

// scanner is the version of govulncheck, run like the linter.
const scanner = "golang.org/x/vuln/cmd/govulncheck@v1.9.0"

// Databases are those of known vulnerabilities.
type Databases struct {
	Go  string     // in OSV's form, https or file; empty means Go's own
	OSV osv.Client // of everything, Go or not
}

// Vulnerabilities looks for what is known to be vulnerable in packages that are
// shipped: by govulncheck in the programs of debs, which sees what code is in them;
// and by asking OSV for every part that a bill of materials lists, of which only
// that one knows of any that is not Go. It fails where something is found that is
// not accepted in tests/vulnerabilities.yaml, where that has a day that is past, and
// where nobody could be asked. What was found goes into dist/vulnerabilities, an
// OpenVEX document for each version.
//
// Those documents are no files of a release, and not in dist/VERSION. What they say
// depends on the databases of the moment, and a release can be built again, bit for
// bit, by anybody, years later; it never changes, and they do the next night; and
// OpenVEX has no document without a statement, but a release has always the same
// names. So the nightly run publishes them, each night those of that night, as its
// artifact; their bytes depend on nothing but what was found and accepted.
func (s Suite) Vulnerabilities(ctx context.Context, looked pipeline.Looked, ask Databases) error {
	return s.runAll(ctx, []tally.Check{{Name: "vulnerabilities", Run: func(ctx context.Context, t *tally.Tally) error {
		return s.vulnerabilities(ctx, t, looked, ask, time.Now())
	}}})
}

func (s Suite) vulnerabilities(ctx context.Context, t *tally.Tally, looked pipeline.Looked, ask Databases, now time.Time) error {
	if err := tool.Need("dpkg-deb"); err != nil {
		return err
	}
	w, err := s.watch(looked.Bills, now)
	if err != nil {
		return err
	}
	for _, deb := range looked.Debs {
		t.Part("vulnerabilities "+filepath.Base(deb), func() error {
			found, err := s.linked(ctx, deb, ask.Go)
			return errors.Join(err, w.judge(found, filepath.Base(deb)+artifact.CycloneDX))
		})
	}
	t.Part("advisories", func() error { return errors.Join(w.advisories(ctx, ask.OSV)) })
	t.Count("accepted vulnerabilities", w.accepted(s.Log), 0)
	t.Count("OpenVEX", s.writeVEX(w), 0)
	return tally.ErrCounted
}

// vulnerability is one that is known of a part of packages.
type vulnerability struct {
	id       string
	aliases  []string
	part     string // as the bills of materials call it
	text     string // all that there is to be said
	there    bool   // its code is in the program
	products map[string]bool
}

// same says whether another database's vulnerability is the same.
func (v vulnerability) same(other vulnerability) bool {
	return v.part == other.part && (v.id == other.id || slices.Contains(v.aliases, other.id) || slices.Contains(other.aliases, v.id))
}

// watch is what is known while the packages are looked at.
type watch struct {
	now        time.Time
	acceptable []acceptance
	used       map[int]bool               // of those
	bills      map[string]provenance.Bill // by the names of their files
	known      []*vulnerability
}

func (s Suite) watch(bills []string, now time.Time) (*watch, error) {
	w := &watch{now: now, used: map[int]bool{}, bills: map[string]provenance.Bill{}}
	var err error
	if w.acceptable, err = s.accepted(); err != nil {
		return nil, err
	}
	if len(bills) == 0 {
		return nil, errors.New("there are no bills of materials to ask by")
	}
	for _, path := range bills {
		content, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		if w.bills[filepath.Base(path)], err = provenance.ReadBill(content); err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
	}
	return w, nil
}

// judge takes in what was found in the package of a bill, and is an error that
// names what is not accepted, each once.
func (w *watch) judge(found []vulnerability, bill string) error {
	of, ok := w.bills[bill]
	if !ok {
		return fmt.Errorf("there is no %s: who would be told of what is in it?", bill)
	}
	var errs []error
	for _, v := range found {
		known := w.remember(v)
		known.products[of.PURL] = true
		if _, ok := w.acceptance(v); !ok {
			errs = append(errs, errors.New(v.text))
		}
	}
	return errors.Join(errs...)
}

// remember adds a vulnerability to those that are known.
func (w *watch) remember(v vulnerability) *vulnerability {
	for _, known := range w.known {
		if known.same(v) {
			known.there = known.there || v.there
			return known
		}
	}
	v.products = map[string]bool{}
	w.known = append(w.known, &v)
	return &v
}

// acceptance is the one by which a vulnerability is shipped.
func (w *watch) acceptance(v vulnerability) (acceptance, bool) {
	for i, one := range w.acceptable {
		if one.covers(v) {
			w.used[i] = true
			return one, one.onTime(w.now) == nil
		}
	}
	return acceptance{}, false
}

// accepted is an error where the last day of something is past, whether that was
// found or not; and it says aloud what is accepted in vain. That is no failure: what
// found it may find it again, until the last day.
func (w *watch) accepted(log io.Writer) error {
	var errs []error
	for i, one := range w.acceptable {
		errs = append(errs, one.onTime(w.now))
		if !w.used[i] {
			fmt.Fprintf(log, "NOT FOUND any more: %s in %s, which is accepted: take it out of %s\n", one.ID, one.Part, acceptedFile)
		}
	}
	return errors.Join(errs...)
}

// writeVEX writes what is known, a document for each version.
func (s Suite) writeVEX(w *watch) error {
	source, err := s.main()
	if err != nil {
		return err
	}
	dir := filepath.Join(string(s.Pipeline.Dist), "vulnerabilities")
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	versions := map[string]time.Time{}
	for _, bill := range w.bills {
		versions[bill.Version] = bill.Time
	}
	for version, of := range versions {
		statements := w.statements(version)
		if len(statements) == 0 {
			continue
		}
		content, err := provenance.OpenVEX(source.Vendor, of, statements)
		if err != nil {
			return err
		}
		if err := artifact.WriteBytes(filepath.Join(dir, fmt.Sprintf("%s_%s.openvex.json", source.Name, version)), 0o644, content); err != nil {
			return err
		}
	}
	return nil
}

// statements are what is known of the packages of a version. The part has a purl of
// its own in each version.
func (w *watch) statements(version string) []provenance.VEXStatement {
	var all []provenance.VEXStatement
	for _, v := range w.known {
		made := provenance.VEXStatement{ID: v.id, Aliases: slices.Sorted(slices.Values(v.aliases)), Status: provenance.UnderInvestigation, Note: v.text}
		for _, bill := range w.bills {
			if bill.Version == version && v.products[bill.PURL] {
				made.Products = append(made.Products, bill.PURL)
				made.Part = cmp.Or(purlOf(bill, v.part), made.Part)
			}
		}
		if len(made.Products) == 0 {
			continue
		}
		slices.Sort(made.Products)
		accepted, ok := w.acceptance(*v)
		switch {
		case ok && accepted.Justification != "":
			made.Status, made.Justification, made.Note = provenance.NotAffected, accepted.Justification, accepted.Reason
		case ok:
			made.Status, made.Note = provenance.Affected, accepted.Reason
		case v.there:
			made.Status, made.Note = provenance.Affected, "Update as soon as there are packages without it. "+v.text
		}
		all = append(all, made)
	}
	slices.SortFunc(all, func(a, b provenance.VEXStatement) int {
		return cmp.Or(strings.Compare(a.ID, b.ID), strings.Compare(a.Part, b.Part))
	})
	return all
}

// linked looks at the programs of one deb.
func (s Suite) linked(ctx context.Context, deb, database string) ([]vulnerability, error) {
	dir, err := os.MkdirTemp("", "spire-packages-vulnerabilities-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	if err := run.New("dpkg-deb", "--extract", deb, dir).Run(ctx); err != nil {
		return nil, err
	}
	programs, err := filepath.Glob(filepath.Join(dir, "usr", "bin", "*"))
	if err != nil {
		return nil, err
	}
	if len(programs) == 0 {
		return nil, fmt.Errorf("%s has no program in /usr/bin", deb)
	}
	var all []vulnerability
	for _, program := range programs {
		said, err := s.govulncheck(ctx, program, database)
		if err != nil {
			return nil, fmt.Errorf("nothing is known of %s, which is no pass: %w", filepath.Base(deb), err)
		}
		found, err := findings(said)
		if err != nil {
			return nil, err
		}
		all = append(all, found...)
	}
	return all, nil
}

func (s Suite) govulncheck(ctx context.Context, program, database string) (string, error) {
	args := []string{"run", scanner, "-mode=binary", "-format=json"}
	if database != "" {
		args = append(args, "-db="+database)
	}
	return run.New("go", append(args, program)...).In(s.Root).Output(ctx)
}

// finding is what govulncheck says of one vulnerability: that the program has the
// module in a version that is affected, or the package, or the function.
type finding struct {
	OSV   string `json:"osv"`
	Fixed string `json:"fixed_version"`
	Trace []struct{ Module, Version, Package, Function string }
}

// findings are what govulncheck has found, each vulnerability once for a module,
// with as much as is known of it.
func findings(said string) ([]vulnerability, error) {
	type key struct{ id, part string }
	found, aliases := map[key]vulnerability{}, map[string][]string{}
	for decoder := json.NewDecoder(strings.NewReader(said)); ; {
		var message struct {
			OSV *struct {
				ID      string   `json:"id"`
				Aliases []string `json:"aliases"`
			} `json:"osv"`
			Finding *finding
		}
		err := decoder.Decode(&message)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("reading what govulncheck says: %w", err)
		}
		if message.OSV != nil {
			aliases[message.OSV.ID] = message.OSV.Aliases
		}
		if f := message.Finding; f != nil && len(f.Trace) > 0 {
			v, at := f.vulnerability(), key{f.OSV, f.Trace[0].Module}
			if before := found[at]; len(v.text) < len(before.text) {
				v.text = before.text
			}
			v.there = v.there || found[at].there
			found[at] = v
		}
	}
	var all []vulnerability
	for _, v := range found {
		v.aliases = aliases[v.id]
		all = append(all, v)
	}
	slices.SortFunc(all, func(a, b vulnerability) int { return strings.Compare(a.text, b.text) })
	return all, nil
}

// vulnerability is what a finding with a trace says.
func (f finding) vulnerability() vulnerability {
	where := f.Trace[0]
	v := vulnerability{id: f.OSV, part: where.Module, there: where.Function != "", text: fmt.Sprintf("%s: %s %s", f.OSV, where.Module, where.Version)}
	for _, more := range []string{where.Package, where.Function} {
		if more != "" {
			v.text += ", " + more
		}
	}
	if f.Fixed != "" {
		v.text += ", fixed in " + f.Fixed
	}
	return v
}

// sortedBills are the names of the bills, in order.
func (w *watch) sortedBills() []string { return slices.Sorted(maps.Keys(w.bills)) }
