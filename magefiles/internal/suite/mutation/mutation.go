// Package mutation tests the tests: it plants faults in packages, which the scenarios must
// find.
package mutation

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/artifact"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/matrix"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/scenario"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/suite/fixture"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/suite/host"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/suite/tally"
)

// Check plants the faults, one in each repository, and has the scenarios find
// them.
func Check(ctx context.Context, t *tally.Tally, shared *fixture.Shared) error {
	if err := host.Need(); err != nil {
		return err
	}
	if err := shared.Here("packages"); err != nil {
		return err
	}
	made, err := shared.Open(ctx)
	if err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(2 * runtime.NumCPU()) // they wait more than they work
	for i, fault := range faults {
		group.Go(func() error {
			start := time.Now()
			err := finds(ctx, made, fault, fmt.Sprintf("fault-%d", i))
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			t.Count(fmt.Sprintf("self %s %s: %s", fault.place, fault.scenario, fault.name), err, time.Since(start))
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	return tally.ErrCounted
}

// finds plants a fault in a repository of its own and plays the scenario there.
func finds(ctx context.Context, s *fixture.Fixture, f fault, name string) error {
	place, err := host.Named(s.Root, f.place)
	if err != nil {
		return err
	}
	if err := plant(ctx, s, f, place, name); err != nil {
		return fmt.Errorf("planting the fault: %w", err)
	}
	h, err := s.Host(ctx, name)
	if err != nil {
		return err
	}
	h.Reports, h.Log = filepath.Join(h.Reports, "self", name), nil
	report, err := h.Run(ctx, []matrix.Target{place}, []string{f.scenario})
	if err != nil {
		return err
	}
	switch result := report[0]; {
	case result.Status == scenario.Skipped:
		return tally.Skip(result.Reason)
	case result.Status == scenario.Passed:
		return errors.New("the scenario passed")
	case !regexp.MustCompile(f.words).MatchString(result.Reason):
		return fmt.Errorf("the scenario failed with other words than /%s/: %s", f.words, result.Reason)
	default:
		fmt.Fprintf(s.Log, "%s %s: %s: found by: %s\n", f.place, f.scenario, f.name, result.Reason)
		return nil
	}
}

// plant publishes everything with the package in which the fault is.
func plant(ctx context.Context, s *fixture.Fixture, f fault, place matrix.Target, name string) error {
	if f.repository != nil {
		if err := s.Command(ctx, "cp", "-al", s.Folder(fixture.Main), s.Folder(name)); err != nil {
			return err
		}
		return f.repository(ctx, s, place, s.Folder(name))
	}
	var bad string
	var err error
	if f.deb != nil {
		bad, err = Deb(ctx, s, place, name+"-package", f.deb)
	} else {
		bad, err = remake(ctx, s, place, name, f.definitions)
	}
	if err != nil {
		return err
	}
	return publish(ctx, s, name, bad)
}

// smallest is the package that faults are planted in, as it was built, and the one with the
// fault, in a folder of the fixture's.
func smallest(s *fixture.Fixture, place matrix.Target, folder string) (good, bad string, err error) {
	found := builtFor(s, place)
	if len(found) != 1 {
		return "", "", fmt.Errorf("the version under test has %d packages of %s for %s", len(found), planted, place.Name())
	}
	bad = filepath.Join(s.Folder(folder), filepath.Base(found[0]))
	return found[0], bad, os.MkdirAll(filepath.Dir(bad), 0o755)
}

// publish publishes all versions, with the bad package in the place of
// the good one, and checksums that say so.
func publish(ctx context.Context, s *fixture.Fixture, name, bad string) error {
	var files []string
	for _, path := range s.Published {
		if filepath.Dir(path) != s.Signed {
			files = append(files, path)
			continue
		}
		if filepath.Base(path) == filepath.Base(bad) || strings.HasPrefix(filepath.Base(path), artifact.SumsName) {
			continue
		}
		if err := os.Link(path, filepath.Join(filepath.Dir(bad), filepath.Base(path))); err != nil {
			return err
		}
	}
	all, err := artifact.Describe(filepath.Dir(bad))
	if err != nil {
		return err
	}
	list := filepath.Join(filepath.Dir(bad), artifact.SumsName)
	if err := artifact.WriteSums(filepath.Dir(bad), all); err != nil {
		return err
	}
	if err := s.Key.Signer.File(ctx, list, list+".asc"); err != nil {
		return err
	}
	for _, file := range all {
		files = append(files, file.Path)
	}
	return s.PublishIn(ctx, name, append(files, list, list+".asc"))
}

// builtFor is the package as it was built.
func builtFor(s *fixture.Fixture, place matrix.Target) []string {
	return slices.DeleteFunc(place.Select(s.Files(place.Format), place.Arch), func(path string) bool {
		return !strings.HasPrefix(filepath.Base(path), planted)
	})
}

// sums writes the list of checksums that dpkg itself has of a package's files:
// whoever makes a broken package makes it whole.
const sums = `find . -path ./DEBIAN -prune -o -type f -printf '%P\0' | xargs -0 md5sum >DEBIAN/md5sums`

// Deb changes what is in the smallest deb for a place, and gives the changed one, which is in
// a folder of the fixture's.
func Deb(ctx context.Context, s *fixture.Fixture, place matrix.Target, folder string, change func(root string) error) (string, error) {
	good, bad, err := smallest(s, place, folder)
	if err != nil {
		return "", err
	}
	root := s.Folder(folder + "-root")
	if err := s.Command(ctx, "dpkg-deb", "--raw-extract", good, root); err != nil {
		return "", err
	}
	if err := change(root); err != nil {
		return "", err
	}
	if err := s.Command(ctx, "sh", "-ec", "cd "+root+"\n"+sums); err != nil {
		return "", err
	}
	// It is kept for a minute: xz would take eight seconds.
	return bad, s.Command(ctx, "dpkg-deb", "--root-owner-group", "-Zgzip", "-z1", "--build", root, bad)
}

// remake makes the smallest rpm from changed definitions and the same binaries, and signs
// it.
func remake(ctx context.Context, s *fixture.Fixture, place matrix.Target, name string, change func(string) error) (string, error) {
	_, bad, err := smallest(s, place, name+"-package")
	if err != nil {
		return "", err
	}
	p := s.Pipeline
	p.Root, p.Dist = s.Folder(name+"-definitions"), artifact.Dist(s.Folder(name+"-dist"))
	if err := s.CopyDefinitions(ctx, p.Root); err != nil {
		return "", err
	}
	if err := change(p.Root); err != nil {
		return "", err
	}
	// Shared until a file is replaced.
	for _, part := range []string{s.Result.Dir, s.Work()} {
		to := filepath.Join(string(p.Dist), strings.TrimPrefix(part, string(s.Pipeline.Dist)))
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			return "", err
		}
		if err := s.Share(ctx, part, to); err != nil {
			return "", err
		}
	}
	options := s.Options
	options.Formats, options.Arches = []string{place.Format}, []string{place.Arch}
	made, err := p.Build(ctx, options)
	if err != nil {
		return "", err
	}
	for _, file := range made.Files {
		if file.Name() == filepath.Base(bad) {
			return bad, s.Key.Signer.At(made.Tree.Time).RPM(ctx, file.Path, bad)
		}
	}
	return "", errors.New("the package was not made: " + filepath.Base(bad))
}

// unsign puts the package as it was built in the place of the signed one, and
// signs the index that names it.
func unsign(ctx context.Context, s *fixture.Fixture, place matrix.Target, www string) error {
	for _, file := range builtFor(s, place) {
		folder := rpmFolder(www, file)
		published := filepath.Join(folder, filepath.Base(file))
		if err := os.Remove(published); err != nil { // it is shared with the repository that nobody has broken
			return err
		}
		if err := s.Command(ctx, "cp", file, published); err != nil {
			return err
		}
		if err := s.Key.Reindex(ctx, s.Checkout, folder); err != nil {
			return err
		}
	}
	return nil
}

// rpmFolder is where a repository has an rpm, which names its own architecture.
func rpmFolder(www, file string) string {
	arch := filepath.Ext(strings.TrimSuffix(file, ".rpm"))
	return filepath.Join(www, "rpm", strings.TrimPrefix(arch, "."))
}
