// Package toolroot runs the programs that decide the bytes of packages, such as the
// C compiler, in the exact versions that a source names: this machine's own where
// it has just these, else those in a root that is made from Debian's archive.
package toolroot

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/artifact"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/run"
)

// Tools are what a source wants: a suite of Debian's, and the version of each
// package of it that decides a byte, by name and, where it is of another
// architecture, :arch.
type Tools struct {
	Suite string
	// Snapshot is the moment of the archive that has these versions, in UTC, such as
	// 20261101T000000Z.
	Snapshot string
	Versions map[string]string
}

// Root is a place with the tools.
type Root struct {
	// Dir is the root's folder, absolute; empty where this machine's own tools are
	// the right ones.
	Dir string
	// image is the root's name in Docker, where that is the only way into it.
	image string
}

// ErrNone is the error where the tools cannot be had: this machine's are others,
// and there is no way into a root.
var ErrNone = errors.New("the tools cannot be had in the versions that the source names")

// Other is the error of versions that differ from those that the source names.
type Other struct {
	Where string
	Found map[string]string // by package; empty where it is not there
	Want  map[string]string
}

// Error names both versions of each package that differs.
func (o Other) Error() string {
	var differ []string
	for _, name := range slices.Sorted(maps.Keys(o.Want)) {
		if o.Found[name] != o.Want[name] {
			found := o.Found[name]
			if found == "" {
				found = "none"
			}
			differ = append(differ, fmt.Sprintf("%s %s instead of %s", name, found, o.Want[name]))
		}
	}
	return o.Where + " has " + strings.Join(differ, ", ")
}

// Finder finds a root, or makes one.
type Finder struct {
	Cache string // folder that roots are kept in
	Log   io.Writer
}

// Find gives the place with the tools. The error wraps ErrNone where there is none,
// and an Other where the archive has other versions by now.
func (f Finder) Find(ctx context.Context, tools Tools) (Root, error) {
	own := installed(ctx, "")
	if err := tools.check("this machine", own); err == nil {
		return Root{}, nil
	}
	dir, err := f.made(ctx, tools)
	if err != nil {
		return Root{}, err
	}
	root := Root{Dir: dir}
	if entered := root.Command(run.New("true")).Run(ctx); entered == nil {
		return root, nil
	} else if !run.Have("docker") {
		return Root{}, fmt.Errorf("%w: entering their root: %w; and there is no Docker", ErrNone, entered)
	}
	root.image = "spire-packages-tools:" + filepath.Base(dir)
	return root, root.load(ctx)
}

// check compares versions.
func (t Tools) check(where string, found map[string]string) error {
	for name, version := range t.Versions {
		if found[name] != version {
			return Other{Where: where, Found: found, Want: t.Versions}
		}
	}
	return nil
}

// installed are the versions of Debian's packages below a root, empty for this
// machine; none where it is no Debian.
func installed(ctx context.Context, root string) map[string]string {
	said, err := run.New("dpkg-query", "--root="+root+"/", "--show", "--showformat=${db:Status-Status} ${Package} ${Architecture} ${Version}\n").Output(ctx)
	if err != nil {
		return nil
	}
	native, err := run.New("dpkg", "--print-architecture").Output(ctx)
	if err != nil {
		return nil
	}
	return versions(said, native)
}

// versions reads dpkg-query's lines: state, name, architecture and version.
func versions(said, native string) map[string]string {
	found := map[string]string{}
	for line := range strings.Lines(said) {
		field := strings.Fields(line)
		if len(field) != 4 || field[0] != "installed" {
			continue
		}
		name := field[1]
		if field[2] != native && field[2] != "all" {
			name += ":" + field[2]
		}
		found[name] = field[3]
	}
	return found
}

// made is the root's folder, which is made if need be and has its name when it is
// whole and right.
func (f Finder) made(ctx context.Context, tools Tools) (string, error) {
	dir := filepath.Join(f.Cache, tools.key())
	if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
		return dir, err
	}
	if !run.Have("mmdebstrap") {
		return "", fmt.Errorf("%w: mmdebstrap is missing, which makes their root (`setup` installs it)", ErrNone)
	}
	unlock, err := artifact.Dist(f.Cache).Lock(ctx, f.Log)
	if err != nil {
		return "", err
	}
	defer unlock()
	if _, err := os.Stat(dir); err == nil { // made by the run that was waited for
		return dir, nil
	}
	fmt.Fprintf(f.Log, "tools: making a root of Debian's %s with them\n", tools.Suite)
	var wrong error
	for _, mirror := range tools.mirrors() {
		err := artifact.MakeDir(dir, func(into string) error { return f.make(ctx, tools, mirror, into) })
		if err == nil {
			return dir, nil
		}
		wrong = errors.Join(wrong, err)
	}
	return "", fmt.Errorf("making a root of Debian's %s with the tools: %w", tools.Suite, wrong)
}

// key is over all that decides what is in the root.
func (t Tools) key() string {
	sum := sha256.New()
	fmt.Fprintln(sum, t.Suite, t.Snapshot)
	for _, name := range slices.Sorted(maps.Keys(t.Versions)) {
		fmt.Fprintln(sum, name, t.Versions[name])
	}
	return t.Suite + "-" + hex.EncodeToString(sum.Sum(nil)[:6])
}

// mirrors are where the root is made from, in this order; the empty one is
// mmdebstrap's own.
func (t Tools) mirrors() []string {
	if t.Snapshot == "" {
		return []string{""}
	}
	return []string{"http://snapshot.debian.org/archive/debian/" + t.Snapshot + "/", ""}
}

func (f Finder) make(ctx context.Context, tools Tools, mirror, into string) error {
	packed := filepath.Join(into, "root.tar")
	if err := tools.debstrap(mirror, packed).Run(ctx); err != nil {
		return err
	}
	// Devices are the machine's, and owners do not matter to who enters alone.
	unpack := run.New("tar", "--extract", "--file="+packed, "--directory="+into, "--no-same-owner", "--exclude=./dev/*")
	if err := errors.Join(unpack.Run(ctx), os.Remove(packed)); err != nil {
		return err
	}
	return tools.check("Debian's "+tools.Suite, installed(ctx, into))
}

func (t Tools) debstrap(mirror, to string) run.Command {
	names := slices.Sorted(maps.Keys(t.Versions))
	architectures := []string{runtime.GOARCH} // which is Debian's name, too, for those that we know
	for _, name := range names {
		if _, arch, ok := strings.Cut(name, ":"); ok && !slices.Contains(architectures, arch) {
			architectures = append(architectures, arch)
		}
	}
	args := []string{
		"--variant=apt", "--format=tar", "--include=" + strings.Join(names, ","),
		"--architectures=" + strings.Join(architectures, ","),
	}
	if mirror != "" {
		args = append(args, `--aptopt=Acquire::Check-Valid-Until "false"`)
	}
	args = append(args, t.Suite, to)
	if mirror != "" {
		args = append(args, mirror)
	}
	return run.New("mmdebstrap", args...)
}
