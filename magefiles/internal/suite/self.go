package suite

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
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/distro"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pipeline"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/suite/tally"
)

// A fault is planted in the package of the OIDC provider, the smallest. The
// test of the tests passes if the scenario fails at the place, with the words.
type fault struct {
	name, place, scenario string
	words                 string // a regular expression for the reason
	// One of these plants it: in an unpacked deb; in the definitions that an rpm
	// is made from; in a published repository.
	deb         func(root string) error
	definitions func(root string) error
	repository  func(ctx context.Context, s *fixture, place distro.Target, www string) error
}

// The places at which faults are planted: one for each format.
const (
	debPlace = "debian-12"
	rpmPlace = "rpm-4.18"
)

const (
	planted     = "spiffe-oidc-discovery-provider"
	plantedDocs = "examples/nginx/README.md"
	plantedConf = "oidc-discovery-provider.conf"
	plantedUnit = planted + ".service"
)

// faults are what the scenarios must find.
var faults = []fault{
	{
		name: "missing file", place: debPlace, scenario: "fresh", words: `nginx/README\.md of ` + planted + `, expected it to be there`,
		deb: func(root string) error { return os.Remove(filepath.Join(root, "usr/share", planted, plantedDocs)) },
	},
	{
		name: "missing file", place: rpmPlace, scenario: "fresh", words: `nginx/README\.md of ` + planted + `, expected it to be there`,
		definitions: func(root string) error { return os.Remove(filepath.Join(root, "packages", planted, plantedDocs)) },
	},
	{
		name: "unit that does not start", place: debPlace, scenario: "works", words: `starting spiffe-oidc-discovery-provider`,
		deb: func(root string) error { return alter(unitIn(root), `(?m)^ExecStart=.*`, "ExecStart=/bin/false") },
	},
	{
		name: "unit that does not start", place: rpmPlace, scenario: "works", words: `starting spiffe-oidc-discovery-provider`,
		definitions: func(root string) error {
			return alter(filepath.Join(root, "units", planted, plantedUnit), `(?m)^ExecStart=.*`, "ExecStart=/bin/false")
		},
	},
	{
		name: "scriptlet that fails on upgrade", place: debPlace, scenario: "upgrade", words: `upgrading.*exit code`,
		deb: func(root string) error {
			return alter(filepath.Join(root, "DEBIAN/postinst"), `(?m)^set -e$`, "set -e\n[ -z \"$2\" ] || exit 1")
		},
	},
	{
		name: "unit enabled by default", place: debPlace, scenario: "fresh", words: plantedUnit + ` enabled, expected 'disabled'`,
		deb: func(root string) error {
			return alter(filepath.Join(root, "DEBIAN/postinst"), `(?m)^set -e$`, "set -e\n[ \"$1\" != configure ] || systemctl --quiet enable "+plantedUnit)
		},
	},
	{
		name: "changed configuration", place: debPlace, scenario: "fresh", words: plantedConf + ` of ` + planted + `, expected sha256`,
		deb: func(root string) error {
			return alter(filepath.Join(root, "etc/spire/oidc-discovery-provider", plantedConf), `"info"`, `"debug"`)
		},
	},
	{
		name: "changed configuration", place: rpmPlace, scenario: "fresh", words: plantedConf + ` of ` + planted + `, expected sha256`,
		definitions: func(root string) error {
			return alter(filepath.Join(root, "packages", planted, plantedConf), `"info"`, `"debug"`)
		},
	},
	{
		name: "dynamic program", place: debPlace, scenario: "fresh", words: planted + `, expected a static program`,
		deb: func(root string) error {
			program, err := os.ReadFile("/bin/sh")
			if err != nil {
				return err
			}
			return os.WriteFile(filepath.Join(root, "usr/bin", planted), program, 0o755)
		},
	},
	{
		name: "folder that everybody may write to", place: debPlace, scenario: "fresh", words: `/etc/spire/oidc-discovery-provider of ` + planted + `, expected .*, got 'drwxrwxrwx`,
		deb: func(root string) error {
			return os.Chmod(filepath.Join(root, "etc/spire/oidc-discovery-provider"), 0o777)
		},
	},
	{
		name: "example that is documentation", place: debPlace, scenario: "minimal", words: `examples/drop-ins/port-443\.conf, expected it to be there`,
		deb: func(root string) error {
			share := filepath.Join(root, "usr/share")
			return os.Rename(filepath.Join(share, planted, "examples/drop-ins/port-443.conf"), filepath.Join(share, "doc", planted, "port-443.conf"))
		},
	},
	{
		name: "scriptlet that stops a unit of the admin's own", place: debPlace, scenario: "own", words: `spire-agent\.service active, expected 'active'`,
		deb: func(root string) error {
			return alter(filepath.Join(root, "DEBIAN/postinst"), `(?m)^set -e$`, "set -e\nsystemctl stop spire-agent.service")
		},
	},
	{
		name: "drop-in for containers that mounts", place: debPlace, scenario: "confined", words: `starting spiffe-oidc-discovery-provider`,
		deb: func(root string) error {
			return alter(filepath.Join(root, "usr/share", planted, "examples/drop-ins/container.conf"), `PrivateTmp=no`, "PrivateTmp=yes")
		},
	},
	{
		name: "D-Bus hidden from the agent", place: debPlace, scenario: "unit", words: `X\.509 SVID of web\.service`,
		deb: func(root string) error {
			hide := filepath.Join(root, "usr/lib/systemd/system/spire-agent.service.d/hide.conf")
			return artifact.WriteBytes(hide, 0o644, []byte("[Service]\nInaccessiblePaths=/run/dbus\n"))
		},
	},
	{
		name: "unsigned file", place: rpmPlace, scenario: "fresh", words: `[Ss]igned|GPG|signature`,
		repository: func(ctx context.Context, s *fixture, place distro.Target, www string) error {
			return s.unsign(ctx, place, www)
		},
	},
}

func unitIn(root string) string { return filepath.Join(root, "usr/lib/systemd/system", plantedUnit) }

// alter replaces what the pattern matches, which must be there: a fault that is
// not planted would not be found.
func alter(path, pattern, with string) error {
	content, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	changed := regexp.MustCompile(pattern).ReplaceAllLiteralString(string(content), with)
	if changed == string(content) {
		return fmt.Errorf("%s has nothing that matches %q", path, pattern)
	}
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	return artifact.WriteBytes(path, info.Mode().Perm(), []byte(changed))
}

// self plants the faults, one in each repository, and has the scenarios find
// them.
func (b built) self(ctx context.Context, t *tally.Tally) error {
	if err := fixtureTools(); err != nil {
		return err
	}
	if !slices.Contains(b.options.Arches, runtime.GOARCH) {
		return tally.Skip("no packages for this machine were built")
	}
	fixture, err := b.fixture(ctx)
	if err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(2 * runtime.NumCPU()) // they wait more than they work
	for i, fault := range faults {
		group.Go(func() error {
			start := time.Now()
			err := fixture.finds(ctx, fault, fmt.Sprintf("fault-%d", i))
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
func (s *fixture) finds(ctx context.Context, f fault, name string) error {
	place, err := s.placeNamed(f.place)
	if err != nil {
		return err
	}
	if err := s.plant(ctx, f, place, name); err != nil {
		return fmt.Errorf("planting the fault: %w", err)
	}
	host, err := s.hostOf(ctx, name)
	if err != nil {
		return err
	}
	host.Reports, host.Log = filepath.Join(host.Reports, "self", name), nil
	report, err := host.Run(ctx, []distro.Target{place}, []string{f.scenario})
	if err != nil {
		return err
	}
	switch result := report[0]; {
	case result.Status == distro.Skipped:
		return tally.Skip(result.Reason)
	case result.Status == distro.Passed:
		return errors.New("the scenario passed")
	case !regexp.MustCompile(f.words).MatchString(result.Reason):
		return fmt.Errorf("the scenario failed with other words than /%s/: %s", f.words, result.Reason)
	default:
		fmt.Fprintf(s.Log, "%s %s: %s: found by: %s\n", f.place, f.scenario, f.name, result.Reason)
		return nil
	}
}

// placeNamed is a row on this machine's own architecture.
func (s *fixture) placeNamed(name string) (distro.Target, error) {
	rows, err := distro.Load(filepath.Join(s.Root, "tests", "distros.yaml"))
	if err != nil {
		return distro.Target{}, err
	}
	i := slices.IndexFunc(rows, func(r distro.Distribution) bool { return r.Name == name })
	if i < 0 {
		return distro.Target{}, fmt.Errorf("tests/distros.yaml has no row %s", name)
	}
	return distro.Target{Distribution: rows[i], Arch: runtime.GOARCH}, nil
}

// plant publishes everything with the package in which the fault is.
func (s *fixture) plant(ctx context.Context, f fault, place distro.Target, name string) error {
	if f.repository != nil {
		if err := s.command(ctx, "cp", "-al", s.folder(mainRepository), s.folder(name)); err != nil {
			return err
		}
		return f.repository(ctx, s, place, s.folder(name))
	}
	good := s.plantedIn(place)
	if len(good) != 1 {
		return fmt.Errorf("the version under test has %d packages of %s for %s", len(good), planted, place.Name())
	}
	bad := filepath.Join(s.folder(name+"-package"), filepath.Base(good[0]))
	if err := os.MkdirAll(filepath.Dir(bad), 0o755); err != nil {
		return err
	}
	var err error
	if f.deb != nil {
		err = s.repack(ctx, good[0], bad, f.deb)
	} else {
		err = s.remake(ctx, place, bad, name, f.definitions)
	}
	if err != nil {
		return err
	}
	return s.publishPlanted(ctx, name, bad)
}

// publishPlanted publishes all versions, with the bad package in the place of
// the good one, and checksums that say so.
func (s *fixture) publishPlanted(ctx context.Context, name, bad string) error {
	var files []string
	for _, path := range s.published {
		if filepath.Dir(path) != s.signed {
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
	if err := s.key.signer.File(ctx, list, list+".asc"); err != nil {
		return err
	}
	for _, file := range all {
		files = append(files, file.Path)
	}
	return s.publishIn(ctx, name, append(files, list, list+".asc"))
}

// plantedIn is the package as it was built.
func (s *fixture) plantedIn(place distro.Target) []string {
	return slices.DeleteFunc(place.Select(s.files(place.Format), place.Arch), func(path string) bool {
		return !strings.HasPrefix(filepath.Base(path), planted)
	})
}

// sums writes the list of checksums that dpkg itself has of a package's files:
// whoever makes a broken package makes it whole.
const sums = `find . -path ./DEBIAN -prune -o -type f -printf '%P\0' | xargs -0 md5sum >DEBIAN/md5sums`

// repack changes what is in a deb.
func (s *fixture) repack(ctx context.Context, good, bad string, change func(string) error) error {
	root := s.folder(filepath.Base(filepath.Dir(bad)) + "-root")
	if err := s.command(ctx, "dpkg-deb", "--raw-extract", good, root); err != nil {
		return err
	}
	if err := change(root); err != nil {
		return err
	}
	if err := s.command(ctx, "sh", "-ec", "cd "+root+"\n"+sums); err != nil {
		return err
	}
	// It is kept for a minute: xz would take eight seconds.
	return s.command(ctx, "dpkg-deb", "--root-owner-group", "-Zgzip", "-z1", "--build", root, bad)
}

// remake makes the rpm from changed definitions and the same binaries, and signs
// it.
func (s *fixture) remake(ctx context.Context, place distro.Target, bad, name string, change func(string) error) error {
	p := s.Pipeline
	p.Root, p.Dist = s.folder(name+"-definitions"), artifact.Dist(s.folder(name+"-dist"))
	if err := s.copyDefinitions(ctx, p.Root); err != nil {
		return err
	}
	if err := change(p.Root); err != nil {
		return err
	}
	// Shared until a file is replaced.
	for _, part := range []string{s.result.Dir, s.work()} {
		to := filepath.Join(string(p.Dist), strings.TrimPrefix(part, string(s.Pipeline.Dist)))
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			return err
		}
		if err := s.share(ctx, part, to); err != nil {
			return err
		}
	}
	options := s.options
	options.Formats, options.Arches = []string{place.Format}, []string{place.Arch}
	made, err := p.Build(ctx, options)
	if err != nil {
		return err
	}
	for _, file := range made.Files {
		if file.Name() == filepath.Base(bad) {
			return s.key.signer.At(made.Tree.Time).RPM(ctx, file.Path, bad)
		}
	}
	return errors.New("the package was not made: " + filepath.Base(bad))
}

// unsign puts the package as it was built in the place of the signed one, and
// signs the index that names it.
func (s *fixture) unsign(ctx context.Context, place distro.Target, www string) error {
	for _, file := range s.plantedIn(place) {
		folder := rpmFolder(www, file)
		published := filepath.Join(folder, filepath.Base(file))
		if err := os.Remove(published); err != nil { // it is shared with the repository that nobody has broken
			return err
		}
		if err := s.command(ctx, "cp", file, published); err != nil {
			return err
		}
		if err := s.reindexAt(ctx, s.key, folder); err != nil {
			return err
		}
	}
	return nil
}

// reindexAt makes the metadata of a folder of rpms anew, and signs them.
func (b built) reindexAt(ctx context.Context, key *testKey, folder string) error {
	metadata := filepath.Join(folder, "repodata")
	if err := os.RemoveAll(metadata); err != nil {
		return err
	}
	if err := b.command(ctx, "createrepo_c", "--quiet", folder); err != nil {
		return err
	}
	index := filepath.Join(metadata, "repomd.xml")
	return key.signer.File(ctx, index, index+".asc")
}

// rpmFolder is where a repository has an rpm, which names its own architecture.
func rpmFolder(www, file string) string {
	arch := filepath.Ext(strings.TrimSuffix(file, ".rpm"))
	return filepath.Join(www, "rpm", strings.TrimPrefix(arch, "."))
}

// Self plants faults in packages, and has the scenarios find them.
func (s Suite) Self(ctx context.Context, o pipeline.Options) error {
	built, err := s.build(ctx, o)
	if err != nil {
		return err
	}
	defer built.closeFixture()
	return s.runAll(ctx, []tally.Check{{Name: "self", Run: built.self}})
}
