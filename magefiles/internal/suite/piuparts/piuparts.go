// Package piuparts has Debian's program of that name test the debs.
package piuparts

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/artifact"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/container"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/matrix"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/run"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/suite/fixture"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/suite/host"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/suite/mutation"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/suite/subject"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/suite/tally"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/tool"
)

// places are the rows whose roots piuparts works on.
var places = []string{host.Deb, "debian-13"}

// leftBehind is what a planted fault leaves after a purge.
const leftBehind = "/etc/left-behind"

// Check installs the debs, upgrades them from an earlier version, removes and
// purges them, with links in the state folders that must not be followed, and
// compares the root with what it was before. One deb that leaves a file must be
// found out.
func Check(ctx context.Context, t *tally.Tally, shared *fixture.Shared) error {
	if err := errors.Join(tool.Need("piuparts", "gzip"), host.Need()); err != nil {
		return err
	}
	if err := shared.Here("packages"); err != nil {
		return err
	}
	asRoot, err := prefixForRoot(ctx)
	if err != nil {
		return err
	}
	made, err := shared.Open(ctx)
	if err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	for _, name := range places {
		group.Go(func() error { return tester{made, asRoot}.at(ctx, t, name) })
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

// tester has piuparts test a fixture's debs.
type tester struct {
	*fixture.Fixture
	asRoot []string // how commands are run that change their root
}

// earlierRepository is a folder with the debs of the earlier versions, which apt
// can read as it is. They are copies, for one place alone: piuparts ends whatever
// process has a file open that it has in its root.
func (s tester) earlierRepository(ctx context.Context, place matrix.Target) (string, error) {
	dir := s.Folder("piuparts-earlier-" + place.Name())
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	for _, file := range place.Select(s.Published, place.Arch) {
		if filepath.Dir(file) == s.Signed {
			continue
		}
		if err := s.Command(ctx, "cp", "--reflink=auto", file, dir); err != nil {
			return "", err
		}
	}
	return dir, artifact.Write(filepath.Join(dir, "Packages"), 0o644, func(w io.Writer) error {
		index := run.New("apt-ftparchive", "packages", ".").In(dir)
		index.Stdout = w
		return index.Run(ctx)
	})
}

// at counts what piuparts says on one row's root.
func (s tester) at(ctx context.Context, t *tally.Tally, name string) error {
	place, err := host.Named(s.Root, name)
	if err != nil {
		return err
	}
	base, err := s.base(ctx, place)
	if errors.Is(err, container.ErrSkip) {
		t.Count("piuparts "+name, host.Skipped(err), 0)
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
		return s.on(ctx, place, base, name, place.Select(s.Files("deb"), place.Arch),
			"--bindmount="+earlier, "--extra-repo=deb [trusted=yes] file://"+earlier+" ./")
	})
	if name == host.Deb {
		t.Part("piuparts "+name+": file left behind", func() error { return s.finds(ctx, place, base) })
	}
	return nil
}

// base is the row's root, as piuparts takes one.
func (s tester) base(ctx context.Context, place matrix.Target) (string, error) {
	h, err := host.New(s.Checkout, "scenarios")
	if err != nil {
		return "", err
	}
	tarball, err := h.Tarball(ctx, place.Image)
	if err != nil {
		return "", err
	}
	base := s.Folder("piuparts-" + place.Name() + ".tgz")
	return base, artifact.Write(base, 0o644, func(w io.Writer) error {
		gzip := run.New("gzip", "-1", "--stdout", tarball)
		gzip.Stdout = w
		return gzip.Run(ctx)
	})
}

// on has piuparts test the debs; what it says is kept under the name.
func (s tester) on(ctx context.Context, place matrix.Target, base, name string, debs []string, more ...string) error {
	kept := filepath.Join(string(s.Pipeline.Dist), "test", "piuparts", name+".txt")
	if err := os.MkdirAll(filepath.Dir(kept), 0o755); err != nil {
		return err
	}
	words := slices.Concat(s.asRoot, []string{
		"piuparts", "--basetgz=" + base, "--distribution=" + place.Image.Suite, "--no-eatmydata",
		"--scriptsdir=" + filepath.Join(s.Root, "tests", "piuparts"), "--log-file=" + kept,
		"--ignore=/var/cache/debconf/tmp.ci/", // apt's own, of asking questions beforehand
	}, more, debs)
	said, err := run.New(words[0], words[1:]...).In(s.Folder("")).Combined(ctx)
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

// finds plants a deb that leaves a file behind.
func (s tester) finds(ctx context.Context, place matrix.Target, base string) error {
	bad, err := mutation.Deb(ctx, s.Fixture, place, "piuparts-fault", func(root string) error {
		return subject.Alter(filepath.Join(root, "DEBIAN/postinst"), `(?m)^set -e$`, "set -e\n: >"+leftBehind)
	})
	if err != nil {
		return fmt.Errorf("planting the fault: %w", err)
	}
	switch err := s.on(ctx, place, base, place.Name()+"-fault", []string{bad}, "--no-upgrade-test"); {
	case err == nil:
		return errors.New("piuparts is content with it")
	case !strings.Contains(err.Error(), leftBehind):
		return fmt.Errorf("piuparts found something else than %s: %w", leftBehind, err)
	}
	return nil
}
