package suite

import (
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
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/run"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/tool"
)

// scanner is the version of govulncheck, run like the linter.
const scanner = "golang.org/x/vuln/cmd/govulncheck@v1.9.0"

// Vulnerabilities looks, in the programs of debs, for Go modules and packages of
// Go's own library that are known to be vulnerable, and fails where there are any,
// or where nobody could be asked. database is the address of a vulnerability
// database in OSV's form, https or file; empty means Go's own. What was found about
// each program is also written as OpenVEX, into dist/vulnerabilities.
func (s Suite) Vulnerabilities(ctx context.Context, debs []string, database string) error {
	if err := tool.Need("dpkg-deb"); err != nil {
		return err
	}
	return s.runAll(ctx, []Check{{"vulnerabilities", func(ctx context.Context, tally *Tally) error {
		for _, deb := range debs {
			start := time.Now()
			err := s.vulnerable(ctx, deb, database)
			tally.Count("vulnerabilities "+filepath.Base(deb), err, time.Since(start))
		}
		return errCounted
	}}})
}

// vulnerable looks at the programs of one deb.
func (s Suite) vulnerable(ctx context.Context, deb, database string) error {
	dir, err := os.MkdirTemp("", "spire-packages-vulnerabilities-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if err := run.New("dpkg-deb", "--extract", deb, dir).Run(ctx); err != nil {
		return err
	}
	programs, err := filepath.Glob(filepath.Join(dir, "usr", "bin", "*"))
	if err != nil {
		return err
	}
	var errs []error
	for _, program := range programs {
		errs = append(errs, s.scan(ctx, program, strings.TrimSuffix(filepath.Base(deb), ".deb"), database))
	}
	if len(programs) == 0 {
		return fmt.Errorf("%s has no program in /usr/bin", deb)
	}
	return errors.Join(errs...)
}

// scan looks at one program.
func (s Suite) scan(ctx context.Context, program, name, database string) error {
	said, err := s.govulncheck(ctx, program, database, "json")
	if err != nil {
		return fmt.Errorf("nothing is known of %s, which is no pass: %w", name, err)
	}
	vex, err := s.govulncheck(ctx, program, database, "openvex")
	if err != nil {
		return err
	}
	place := filepath.Join(string(s.Pipeline.Dist), "vulnerabilities", name+".openvex.json")
	if err := artifact.WriteBytes(place, 0o644, []byte(vex+"\n")); err != nil {
		return err
	}
	return findings(said)
}

func (s Suite) govulncheck(ctx context.Context, program, database, format string) (string, error) {
	args := []string{"run", scanner, "-mode=binary", "-format=" + format}
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

// findings is an error that names what govulncheck has found, each vulnerability
// once, with as much as is known of it.
func findings(said string) error {
	found := map[string]string{}
	for decoder := json.NewDecoder(strings.NewReader(said)); ; {
		var message struct{ Finding *finding }
		err := decoder.Decode(&message)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return fmt.Errorf("reading what govulncheck says: %w", err)
		}
		if f := message.Finding; f != nil && len(f.Trace) > 0 {
			where := f.Trace[0]
			text := fmt.Sprintf("%s: %s %s", f.OSV, where.Module, where.Version)
			for _, more := range []string{where.Package, where.Function} {
				if more != "" {
					text += ", " + more
				}
			}
			if f.Fixed != "" {
				text += ", fixed in " + f.Fixed
			}
			if len(text) > len(found[f.OSV]) {
				found[f.OSV] = text
			}
		}
	}
	var errs []error
	for _, osv := range slices.Sorted(maps.Keys(found)) {
		errs = append(errs, errors.New(found[osv]))
	}
	return errors.Join(errs...)
}
