package suite

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/artifact"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/distro"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/run"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/suite/tally"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/tool"
)

// piupartsPlaces are the rows whose roots piuparts works on.
var piupartsPlaces = []string{debPlace, "debian-13"}

// leftBehind is what a planted fault leaves after a purge.
const leftBehind = "/etc/left-behind"

// piuparts installs the debs, upgrades them from an earlier version, removes and
// purges them, with links in the state folders that must not be followed, and
// compares the root with what it was before. One deb that leaves a file must be
// found out.
func (b built) piuparts(ctx context.Context, t *tally.Tally) error {
	if err := errors.Join(tool.Need("piuparts", "gzip"), fixtureTools()); err != nil {
		return err
	}
	if !slices.Contains(b.options.Arches, runtime.GOARCH) {
		return tally.Skip("no packages for this machine were built")
	}
	asRoot, err := prefixForRoot(ctx)
	if err != nil {
		return err
	}
	fixture, err := b.fixture(ctx)
	if err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	for _, name := range piupartsPlaces {
		group.Go(func() error { return fixture.piupartsAt(ctx, t, asRoot, name) })
	}
	if err := group.Wait(); err != nil {
		return err
	}
	return tally.ErrCounted
}

// prefixForRoot is how commands are run that change their root.
func prefixForRoot(ctx context.Context) ([]string, error) {
	if os.Geteuid() == 0 {
		return nil, nil
	}
	sudo := []string{"sudo", "--non-interactive"}
	if !run.Have(sudo[0]) || run.New(sudo[0], sudo[1], "true").Run(ctx) != nil {
		return nil, tally.Skip("piuparts changes its root, which takes root, or sudo without a password")
	}
	return sudo, nil
}

// earlierRepository is a folder with the debs of the earlier versions, which apt
// can read as it is. They are copies, for one place alone: piuparts ends whatever
// process has a file open that it has in its root.
func (s *fixture) earlierRepository(ctx context.Context, place distro.Target) (string, error) {
	dir := s.folder("piuparts-earlier-" + place.Name())
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	for _, file := range place.Select(s.published, place.Arch) {
		if filepath.Dir(file) == s.signed {
			continue
		}
		if err := s.command(ctx, "cp", "--reflink=auto", file, dir); err != nil {
			return "", err
		}
	}
	return dir, artifact.Write(filepath.Join(dir, "Packages"), 0o644, func(w io.Writer) error {
		index := run.New("apt-ftparchive", "packages", ".").In(dir)
		index.Stdout = w
		return index.Run(ctx)
	})
}

// piupartsAt counts what piuparts says on one row's root.
func (s *fixture) piupartsAt(ctx context.Context, t *tally.Tally, asRoot []string, name string) error {
	place, err := s.placeNamed(name)
	if err != nil {
		return err
	}
	base, err := s.piupartsBase(ctx, place)
	if errors.Is(err, distro.ErrSkip) {
		t.Count("piuparts "+name, tally.Skip(err.Error()), 0)
		return nil
	}
	if err != nil {
		return err
	}
	earlier, err := s.earlierRepository(ctx, place)
	if err != nil {
		return fmt.Errorf("publishing what piuparts upgrades from: %w", err)
	}
	t.Part("piuparts "+name, func() error {
		return s.piupartsOn(ctx, asRoot, place, base, name, place.Select(s.files("deb"), place.Arch),
			"--bindmount="+earlier, "--extra-repo=deb [trusted=yes] file://"+earlier+" ./")
	})
	if name == debPlace {
		t.Part("piuparts "+name+": file left behind", func() error { return s.piupartsFinds(ctx, asRoot, place, base) })
	}
	return nil
}

// piupartsBase is the row's root, as piuparts takes one.
func (s *fixture) piupartsBase(ctx context.Context, place distro.Target) (string, error) {
	host, err := s.hostFor("scenarios")
	if err != nil {
		return "", err
	}
	tarball, err := host.Tarball(ctx, place.Image)
	if err != nil {
		return "", err
	}
	base := s.folder("piuparts-" + place.Name() + ".tgz")
	return base, artifact.Write(base, 0o644, func(w io.Writer) error {
		gzip := run.New("gzip", "-1", "--stdout", tarball)
		gzip.Stdout = w
		return gzip.Run(ctx)
	})
}

// piupartsOn has piuparts test the debs; what it says is kept under the name.
func (s *fixture) piupartsOn(ctx context.Context, asRoot []string, place distro.Target, base, name string, debs []string, more ...string) error {
	kept := filepath.Join(string(s.Pipeline.Dist), "test", "piuparts", name+".txt")
	if err := os.MkdirAll(filepath.Dir(kept), 0o755); err != nil {
		return err
	}
	words := slices.Concat(asRoot, []string{
		"piuparts", "--basetgz=" + base, "--distribution=" + place.Image.Suite, "--no-eatmydata",
		"--scriptsdir=" + filepath.Join(s.Root, "tests", "piuparts"), "--log-file=" + kept,
		"--ignore=/var/cache/debconf/tmp.ci/", // apt's own, of asking questions beforehand
	}, more, debs)
	said, err := run.New(words[0], words[1:]...).In(s.place).Combined(ctx)
	if err != nil {
		return fmt.Errorf("%s (see %s)", complaints(said), kept)
	}
	return nil
}

// complaints are what piuparts calls errors and failures, and the paths below them.
func complaints(said string) string {
	var found []string
	open := false
	for line := range strings.Lines(said) {
		switch {
		case strings.Contains(line, " ERROR: "), strings.Contains(line, " FAIL: "):
			open = true
		case !strings.HasPrefix(line, " "):
			open = false
		}
		if open {
			found = append(found, strings.TrimRight(line, "\n"))
		}
	}
	if len(found) == 0 {
		return "piuparts ended without a word"
	}
	return "piuparts is not content:" + tally.Indented(strings.Join(found, "\n"))
}

// piupartsFinds plants a deb that leaves a file behind.
func (s *fixture) piupartsFinds(ctx context.Context, asRoot []string, place distro.Target, base string) error {
	good := s.plantedIn(place)
	if len(good) != 1 {
		return fmt.Errorf("the version under test has %d packages of %s for %s", len(good), planted, place.Name())
	}
	bad := filepath.Join(s.folder("piuparts-fault"), filepath.Base(good[0]))
	if err := os.MkdirAll(filepath.Dir(bad), 0o755); err != nil {
		return err
	}
	err := s.repack(ctx, good[0], bad, func(root string) error {
		return alter(filepath.Join(root, "DEBIAN/postinst"), `(?m)^set -e$`, "set -e\n: >"+leftBehind)
	})
	if err != nil {
		return fmt.Errorf("planting the fault: %w", err)
	}
	switch err := s.piupartsOn(ctx, asRoot, place, base, place.Name()+"-fault", []string{bad}, "--no-upgrade-test"); {
	case err == nil:
		return errors.New("piuparts is content with it")
	case !strings.Contains(err.Error(), leftBehind):
		return fmt.Errorf("piuparts found something else than %s: %w", leftBehind, err)
	}
	return nil
}
