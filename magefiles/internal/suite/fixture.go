package suite

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/go-version"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/artifact"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/distro"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/format"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/frontpage"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/gotool"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/manifest"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pipeline"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pkgdef"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/repo"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/suite/tally"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/tool"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/web"
)

// fixture is what the scenarios play on: a repository as a user meets it, signed
// by a key made for the purpose, with the version under test and those that it
// is upgraded from.
type fixture struct {
	built
	place string // folder with everything
	key   *testKey
	now   time.Time
	// versions are the main source's, with the packaging's release, the one under test
	// last; none where another source alone is tested.
	versions []string
	// published are the signed files of all versions; those of the main source's version
	// under test are in the folder signed.
	published []string
	signed    string
}

// formerRelease is the packaging of the versions to upgrade from, the one before
// state had a folder for each unit: tests/former has what it had in the place of
// today's.
const formerRelease = 1

// mainRepository is the folder of the repository that nobody has broken.
const mainRepository = "www"

// theFixture is the fixture that all checks of a run share, which is made for the
// first of them.
type theFixture struct {
	once sync.Once
	made *fixture
	err  error
}

// fixture is the run's, and open until closeFixture.
func (b built) fixture(ctx context.Context) (*fixture, error) {
	b.shared.once.Do(func() { b.shared.made, b.shared.err = b.openFixture(ctx) })
	return b.shared.made, b.shared.err
}

// closeFixture gives the fixture up, if there is one.
func (b built) closeFixture() {
	if b.shared.made != nil {
		b.shared.made.close()
	}
}

// openFixture makes the repository.
func (b built) openFixture(ctx context.Context) (_ *fixture, err error) {
	s := &fixture{built: b, now: time.Now().UTC().Truncate(time.Second)}
	if s.place, err = os.MkdirTemp("", "spire-packages-fixture-"); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			s.close()
		}
	}()
	if s.key, err = newTestKey(ctx, "SPIRE packages rehearsal <rehearsal@example.org>", s.now); err != nil {
		return nil, err
	}
	if err := s.publish(ctx); err != nil {
		return nil, fmt.Errorf("publishing what the distributions install: %w", err)
	}
	if err := s.expect(ctx); err != nil {
		return nil, fmt.Errorf("listing what the packages have: %w", err)
	}
	return s, s.buildClients(ctx)
}

// fixtureTools says which tools are missing for a fixture.
func fixtureTools() error {
	return tool.Need(slices.Concat(repo.Tools(), []string{"docker", "mmdebstrap", "gpg", "cp"})...)
}

func (s *fixture) close() {
	if s.key != nil {
		_ = s.key.close() // what is left is in the system's folder for such things
	}
	_ = os.RemoveAll(s.place)
}

// folder is a place of the fixture's, which is made if need be.
func (s *fixture) folder(name string) string { return filepath.Join(s.place, name) }

// publish signs all versions and publishes them at once.
func (s *fixture) publish(ctx context.Context) error {
	signed, err := s.signBy(ctx, s.key, s.folder("signed"))
	if err != nil {
		return err
	}
	s.published, s.signed = paths(signed), signed[0].Dir
	if err := s.publishEarlier(ctx); err != nil {
		return err
	}
	if err := s.publishIn(ctx, mainRepository, s.published); err != nil {
		return err
	}
	// Beside it, what no key has signed.
	for _, part := range s.parts() {
		if err := s.share(ctx, part.result.Dir, s.folder(mainRepository+"/built")); err != nil {
			return err
		}
	}
	return nil
}

// publishEarlier adds the versions that the main source's is upgraded from.
func (s *fixture) publishEarlier(ctx context.Context) error {
	if !s.source.Main {
		return nil
	}
	from, _ := s.upgraded(ctx)
	for i, number := range from {
		former := i == 0
		shipped, err := s.shipped(ctx, s.options, number)
		if err != nil {
			return fmt.Errorf("taking %s from the archive, to upgrade from: %w", number, err)
		}
		if former || shipped.Version == "" {
			made, err := s.earlier(ctx, number, former)
			if err != nil {
				return fmt.Errorf("building %s, to upgrade from: %w", number, err)
			}
			s.published = append(s.published, made...)
			s.versions = append(s.versions, fmt.Sprintf("%s-%d", number, formerRelease))
		}
		if err := s.offerShipped(ctx, shipped); err != nil {
			return fmt.Errorf("signing %s, which was published, for the tests: %w", shipped.Version, err)
		}
	}
	s.versions = append(s.versions, s.full())
	return nil
}

// upgraded are the versions that the main source's is upgraded from, and those that are
// left out.
func (b built) upgraded(ctx context.Context) (from, left []string) {
	from = b.leading(ctx, b.source, b.result.Tree.Version)
	if b.fewer && len(from) > 1 {
		return from[:1], from[1:]
	}
	return from, nil
}

// leftOut counts the versions from which upgrades are not tried.
func (b built) leftOut(ctx context.Context, t *tally.Tally) {
	_, left := b.upgraded(ctx)
	for _, number := range left {
		t.Count("upgrade from "+number, tally.Skip("compiling it takes as long as a build: whoever wants to know asks test:distros, as each night does"), 0)
	}
}

// share gives a folder's files other names or, on another file system, copies them.
func (s Suite) share(ctx context.Context, from, to string) error {
	return s.command(ctx, "sh", "-ec", `mkdir -p "$1" && { cp -al "$0/." "$1" || cp -a "$0/." "$1"; }`, from, to)
}

// publishIn publishes files in a repository of the fixture.
func (s *fixture) publishIn(ctx context.Context, name string, files []string) error {
	_, err := s.Pipeline.Publish(ctx, pipeline.Archive{
		Dir: s.folder(name), URL: distro.WebURL, Signer: s.key.signer, Now: s.now,
	}, files)
	return err
}

// earlierFolder is a variable of the environment: a folder with a folder for each
// version to upgrade from, by which what test:earlier built travels to machines that
// only test.
const earlierFolder = "SPIRE_EARLIER"

// earlierDist is where versions to upgrade from are built, beside what is built for
// its own sake.
func (s Suite) earlierDist() artifact.Dist {
	return artifact.Dist(filepath.Join(string(s.Pipeline.Dist), ".earlier"))
}

// earlier builds a version to upgrade from, unless another machine has, and signs it.
func (s *fixture) earlier(ctx context.Context, number string, first bool) ([]string, error) {
	p, options, err := s.earlierBuild(ctx, s.options, number, first)
	if err != nil {
		return nil, err
	}
	if dir := os.Getenv(earlierFolder); dir != "" {
		// As it is: who only tests needs no compiler for it.
		options.Prebuilt = filepath.Join(dir, number)
		files, err := artifact.Sums(filepath.Join(options.Prebuilt, builtFolder))
		if err != nil {
			return nil, err
		}
		options.Rebuilt = pipeline.Result{Files: files}.Digests()
	}
	signed, err := p.Sign(ctx, options, pipeline.Opened(s.key.signer), pipeline.Builder{}, s.folder("signed"))
	return signed.Paths(), err
}

// builtFolder is that of the machine which built a version, in the version's.
const builtFolder = "built"

// Earlier makes the versions that the one under test is upgraded from, for machines that
// then only test: it takes them from the archive, or builds them; also into the folder
// that SPIRE_EARLIER names, if it does.
func (s Suite) Earlier(ctx context.Context, o pipeline.Options) error {
	source, err := s.Pipeline.Source(o.Source)
	if err != nil {
		return err
	}
	if !source.Main {
		return s.handOnNothing(source)
	}
	for i, number := range s.leading(ctx, source, cmp.Or(o.Version, source.Version)) {
		shipped, err := s.fromArchive(ctx, o, number)
		if err == nil {
			err = s.handOnShipped(ctx, shipped)
		}
		if err != nil {
			return fmt.Errorf("taking %s from the archive, to upgrade from: %w", number, err)
		}
		if former := i == 0; former || shipped.Version == "" {
			if err := s.makeEarlier(ctx, o, number, former); err != nil {
				return err
			}
		}
	}
	return nil
}

// makeEarlier builds a version to upgrade from, and hands it on.
func (s Suite) makeEarlier(ctx context.Context, o pipeline.Options, number string, former bool) error {
	p, options, err := s.earlierBuild(ctx, o, number, former)
	if err != nil {
		return err
	}
	made, err := p.Build(ctx, options)
	if err != nil {
		return fmt.Errorf("building %s, to upgrade from: %w", number, err)
	}
	if err := s.handOn(ctx, made); err != nil {
		return fmt.Errorf("handing %s on, to upgrade from: %w", number, err)
	}
	return nil
}

// handOn puts what was built into the folder that travels, if there is one.
func (s Suite) handOn(ctx context.Context, made pipeline.Result) error {
	dir := os.Getenv(earlierFolder)
	if dir == "" {
		return nil
	}
	to := filepath.Join(dir, made.Tree.Version)
	return artifact.MakeDir(to, func(into string) error {
		return s.share(ctx, made.Dir, filepath.Join(into, builtFolder))
	})
}

// handOnNothing says in the folder that travels that there is nothing to upgrade from: of
// another source than the main one no earlier packaging was made.
func (s Suite) handOnNothing(source pkgdef.Source) error {
	dir := os.Getenv(earlierFolder)
	if dir == "" {
		return nil
	}
	return artifact.WriteBytes(filepath.Join(dir, "none"), 0o644, []byte(source.Name+" has no earlier packaging\n"))
}

// earlierBuild is how a version to upgrade from is built: binary packages only,
// beside what is built for its own sake, and kept like it. The first one's
// configurations are not quite those of today, as it happens over the years. The
// definitions are always at the same place, which is in the keys of what is kept.
func (s Suite) earlierBuild(ctx context.Context, o pipeline.Options, number string, first bool) (pipeline.Pipeline, pipeline.Options, error) {
	p := s.Pipeline
	p.Dist = s.earlierDist()
	// Whatever other machines built, it is another version.
	o.Version, o.Formats, o.Prebuilt, o.Rebuilt, o.Quick = number, format.Names(), "", "", true
	p.Root = p.Dist.Work("definitions", number)
	o.Source = ""
	return p, o, artifact.MakeDir(p.Root, func(dir string) error {
		err := s.formerDefinitions(ctx, dir)
		if err == nil && first {
			err = olderDefaults(dir)
		}
		return err
	})
}

// formerDefinitions makes definitions of the former packaging of the main source: its
// services, and nothing that moves state.
func (s Suite) formerDefinitions(ctx context.Context, root string) error {
	source, err := s.main()
	if err != nil {
		return err
	}
	if err := s.copyDefinitions(ctx, root); err != nil {
		return err
	}
	packages, err := pipeline.Pipeline{Root: s.Root}.Packages(source)
	if err != nil {
		return err
	}
	for _, p := range packages {
		services, failed := filepath.Glob(filepath.Join(root, "units", p.Name, "*.service*"))
		err = errors.Join(err, failed)
		for _, service := range services {
			err = errors.Join(err, os.RemoveAll(service))
		}
	}
	err = errors.Join(err, s.command(ctx, "cp", "-r", filepath.Join(s.Root, "tests", "former", "units"), root),
		alter(filepath.Join(root, "srpm", source.Name, "source.yaml"), `(?m)^release: .*`, fmt.Sprintf("release: %d", formerRelease)))
	for _, name := range []string{"spire-server", "spire-agent"} {
		err = errors.Join(err, alter(filepath.Join(root, "packages", name, "package.yaml"), `(?m)^state: .*\n`, ""))
	}
	return err
}

// olderDefaults puts one more line into each configuration.
func olderDefaults(root string) error {
	files, err := filepath.Glob(filepath.Join(root, "packages", "*", "*.conf"))
	if err != nil || len(files) == 0 {
		return errors.Join(err, errors.New("the packages have no configuration"))
	}
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		if err := artifact.WriteBytes(file, 0o644, append(content, "# The default of an earlier version.\n"...)); err != nil {
			return err
		}
	}
	return nil
}

// copyDefinitions copies what says how packages are made.
func (s Suite) copyDefinitions(ctx context.Context, root string) error {
	if err := os.MkdirAll(root, 0o755); err != nil {
		return err
	}
	for _, name := range []string{"packages", "units", "srpm"} {
		if err := s.command(ctx, "cp", "-r", filepath.Join(s.Root, name), root); err != nil {
			return err
		}
	}
	return nil
}

// leading are the versions that lead to the one under test, oldest first. A known
// version has only known ones before it. Of others, which upstream went on to,
// the module proxy says what there was in between.
func (s Suite) leading(ctx context.Context, source pkgdef.Source, under string) []string {
	numbers := slices.Collect(maps.Keys(source.Releases))
	if _, known := source.Releases[under]; !known {
		more, err := published(ctx, source)
		if err != nil {
			fmt.Fprintf(s.Log, "upgrades are tested from the versions in source.yaml only: %v\n", err)
		}
		numbers = append(numbers, more...)
	}
	return earlier(numbers, under)
}

// published are the versions that the module proxy has.
func published(ctx context.Context, source pkgdef.Source) ([]string, error) {
	tool, err := gotool.Find(ctx, source.Toolchain.Version)
	if err != nil {
		return nil, err
	}
	out, err := tool.Command("list", "-m", "-versions", source.Module).In(os.TempDir()).Output(ctx)
	if err != nil {
		return nil, fmt.Errorf("asking the module proxy for the versions of %s: %w", source.Module, err)
	}
	return strings.Fields(strings.TrimPrefix(strings.TrimSpace(out), source.Module)), nil
}

// earlier are of those numbers the ones that lead to the version under test,
// oldest first: the newest patch of the minor before it, and the oldest of its
// own. SPIRE is upgraded one minor at a time.
func earlier(numbers []string, under string) []string {
	current, err := version.NewVersion(under)
	if err != nil {
		return nil
	}
	known := map[int][]*version.Version{} // of the same major, by minor
	for _, number := range numbers {
		v, err := version.NewVersion(number)
		if err == nil && v.Prerelease() == "" && v.LessThan(current) && v.Segments()[0] == current.Segments()[0] {
			known[v.Segments()[1]] = append(known[v.Segments()[1]], v)
		}
	}
	var chain []string
	compare := func(a, b *version.Version) int { return a.Compare(b) }
	minor := current.Segments()[1]
	if before := known[minor-1]; len(before) > 0 {
		chain = append(chain, slices.MaxFunc(before, compare).String())
	}
	if same := known[minor]; len(same) > 0 {
		chain = append(chain, slices.MinFunc(same, compare).String())
	}
	return chain
}

// expect writes for each package what it has, as the build made it: a line a
// file or folder, "MODE OWNER/GROUP SHA256 PATH". What the source packages are is
// beside that.
func (s *fixture) expect(ctx context.Context) error {
	for _, f := range format.All() {
		for _, arch := range s.options.Arches {
			folder := filepath.Join(s.folder("expected"), fmt.Sprintf("%s-%s", f.Name, arch))
			if err := os.MkdirAll(folder, 0o755); err != nil {
				return err
			}
			for _, file := range (distro.Distribution{Format: f.Name}).Select(s.files(f.Name), arch) {
				m, err := f.Read(ctx, file)
				if err != nil {
					return err
				}
				if err := artifact.WriteBytes(filepath.Join(folder, m[f.NameItem]), 0o644, []byte(listing(m))); err != nil {
					return err
				}
			}
		}
	}
	return s.expectSources(filepath.Join(s.folder("expected"), "sources"))
}

// listing is what a package installs. Ghosts are not, and a link has no mode.
func listing(m manifest.Manifest) string {
	var lines []string
	for item, value := range m {
		path, isFile := strings.CutPrefix(item, "file ")
		words := strings.Fields(value)
		if !isFile || path == "/" || strings.HasPrefix(strings.ToLower(words[0]), "l") || ghost(words) {
			continue
		}
		sum := m["content "+path]
		if sum == "" {
			sum = "-"
		}
		lines = append(lines, fmt.Sprintf("%s %s %s %s\n", words[0], strings.Replace(words[1], ":", "/", 1), sum, path))
	}
	slices.Sort(lines)
	return strings.Join(lines, "")
}

// ghost says whether rpm's flags of a file say that it is only spoken of.
func ghost(words []string) bool {
	return slices.ContainsFunc(words, func(word string) bool {
		flags, ok := strings.CutPrefix(word, "flags=")
		return ok && strings.Contains(flags, "g")
	})
}

// hostOf is this machine, ready to play the scenarios with one of the fixture's
// repositories, which is served until ctx ends.
func (s *fixture) hostOf(ctx context.Context, repository string) (*distro.Host, error) {
	host, err := s.hostFor("scenarios")
	if err != nil {
		return nil, err
	}
	own, err := os.MkdirTemp(s.place, "host-")
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(own, 0o755); err != nil { // who is not root inside reaches the socket too
		return nil, err
	}
	host.Web = filepath.Join(own, "web")
	pastes := filepath.Join(own, "pastes")
	host.Folders = map[string]string{"expected": s.folder("expected"), "pastes": pastes, "tools": s.folder("tools"), "packages": filepath.Join(own, "packages")}
	// How often the scenario state kills a move: as often as it says by itself,
	// unless somebody wants to be sure.
	others, err := s.otherPackages()
	if err != nil {
		return nil, err
	}
	host.Vars = append(host.Vars, "VERSIONS="+strings.Join(s.versions, " "), "URL="+distro.WebURL, "KILLS="+os.Getenv("SPIRE_TEST_KILLS"), "OTHERS="+others)
	if err := s.packageTests(host.Folders["packages"]); err != nil {
		return nil, err
	}
	lines, err := readPastes(s.folder(repository))
	if err != nil {
		return nil, err
	}
	if err := writePastes(lines, pastes); err != nil {
		return nil, err
	}
	if err := s.writeTenMinutes(pastes); err != nil {
		return nil, fmt.Errorf("reading the README: %w", err)
	}
	if err := s.command(ctx, "cp", filepath.Join(s.Root, "README.md"), pastes); err != nil {
		return nil, err
	}
	return host, s.serve(ctx, s.folder(repository), host.Web)
}

// otherPackages are the packages of the other sources, one a word: the name, the version that was
// built, and the units and users, separated by commas, with colons between. What a
// package's own test is travels with the scenarios: see packageTests.
func (s *fixture) otherPackages() (string, error) {
	var words []string
	for _, part := range s.parts() {
		if part.source.Main {
			continue
		}
		packages, err := s.Pipeline.Packages(part.source)
		if err != nil {
			return "", err
		}
		for _, p := range packages {
			var users []string
			for _, user := range p.Units.Users {
				users = append(users, user.Name)
			}
			words = append(words, strings.Join([]string{p.Name, part.full(), strings.Join(p.Units.Switched(), ","), strings.Join(users, ",")}, ":"))
		}
	}
	return strings.Join(words, " "), nil
}

// packageTests puts the packages' own tests into a folder, by the packages' names.
func (s *fixture) packageTests(dir string) error {
	packages, err := pkgdef.Load(s.Root)
	err = errors.Join(err, os.MkdirAll(dir, 0o755))
	if err != nil {
		return err
	}
	for _, p := range packages {
		if p.Test == "" {
			continue
		}
		if err := artifact.Link(p.Test, filepath.Join(dir, p.Name+".sh")); err != nil {
			return err
		}
	}
	return nil
}

// serve answers on a socket that the containers get, until ctx ends.
func (s *fixture) serve(ctx context.Context, dir, socket string) error {
	if err := os.MkdirAll(socket, 0o755); err != nil {
		return err
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "unix", filepath.Join(socket, distro.WebSocket))
	if err != nil {
		return fmt.Errorf("serving the repository: %w", err)
	}
	go func() { _ = web.ServeOn(ctx, listener, dir) }()
	return nil
}

// readPastes are the lines that the front page of the repository in a folder says to
// paste, by the id of their block.
func readPastes(repository string) (map[string]string, error) {
	page, err := os.ReadFile(filepath.Join(repository, "index.html"))
	if err != nil {
		return nil, fmt.Errorf("reading the front page: %w", err)
	}
	return frontpage.Pastes(page)
}

// writePastes writes lines to paste, a file each.
func writePastes(pastes map[string]string, dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for id, lines := range pastes {
		if err := artifact.WriteBytes(filepath.Join(dir, id), 0o644, []byte(lines+"\n")); err != nil {
			return err
		}
	}
	return nil
}

// places are the rows, or those selected, on the architectures that packages
// were built for. What is left out for another reason than its name is counted.
func (b built) places(t *tally.Tally, only selection) ([]distro.Target, error) {
	rows, err := distro.Load(filepath.Join(b.Root, "tests", "distros.yaml"))
	if err != nil {
		return nil, err
	}
	var places []distro.Target
	missing := slices.Clone(only.rows)
	for _, row := range rows {
		for _, arch := range row.Architectures {
			place := distro.Target{Distribution: row, Arch: arch}
			switch {
			case len(only.rows) > 0 && !slices.Contains(only.rows, place.Name()):
			case only.blocking && row.Tier == distro.Informing:
				t.Count(place.Name(), tally.Skip("it only informs, and whoever wants to know asks test:distros -row="+place.Name()), 0)
			case slices.Contains(b.options.Arches, arch):
				places = append(places, place)
				missing = slices.DeleteFunc(missing, func(name string) bool { return name == place.Name() })
			default:
				t.Count(place.Name(), tally.Skip("no packages for "+arch+" were built (-arch="+strings.Join(append(slices.Clone(b.options.Arches), arch), ",")+" builds them)"), 0)
			}
		}
	}
	if len(missing) > 0 {
		return nil, fmt.Errorf("tests/distros.yaml has no row %s for %s", strings.Join(missing, ", "), strings.Join(b.options.Arches, ", "))
	}
	return places, nil
}
