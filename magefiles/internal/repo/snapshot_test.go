package repo

import (
	"errors"
	"fmt"
	"maps"
	"net/http/httptest"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/architecture"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/golden"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/repo/ledger"
)

// newArchive is a repository that gives nothing up.
func newArchive(t testing.TB) Repository {
	t.Helper()
	r := newRepository(t)
	r.Everything, r.URL, r.Notices = true, "https://example.org/spire", mended("1.12.0")
	return r
}

// heads are what is signed, and the lists that clients take by their digests.
func heads(t testing.TB, r Repository) map[string]string {
	t.Helper()
	files := map[string]string{}
	for _, suite := range []string{"stable", "stable-security"} {
		inRelease, err := os.ReadFile(r.path("apt/dists/" + suite + "/InRelease"))
		must(t, err)
		files["apt/dists/"+suite+"/InRelease"] = sum(inRelease)
		for _, line := range listLine.FindAllStringSubmatch(string(inRelease), -1) {
			if strings.HasSuffix(line[3], ".xz") {
				files[path.Join("apt/dists", suite, path.Dir(line[3]), "by-hash/SHA256", line[1])] = line[1]
			}
		}
	}
	for _, folder := range rpmFolders {
		for name := range snapshot(t, r.path("rpm/"+folder+"/repodata")) {
			content, err := os.ReadFile(r.path(path.Join("rpm", folder, "repodata", name)))
			if err == nil && (!strings.HasSuffix(name, ".gz") || current(t, r, folder, name)) {
				files[path.Join("rpm", folder, "repodata", name)] = sum(content)
			}
		}
	}
	return files
}

// current says whether a file is one that repomd.xml lists now.
func current(t testing.TB, r Repository, folder, name string) bool {
	t.Helper()
	repomd, err := os.ReadFile(r.path(path.Join("rpm", folder, "repodata/repomd.xml")))
	must(t, err)
	return slices.Contains(locations(repomd), name)
}

// dated are files of a state, where that of the given day has them.
func dated(files map[string]string, day int) map[string]string {
	of := map[string]string{}
	for name, digest := range files {
		kind, rest, _ := strings.Cut(name, "/")
		of[path.Join(kind, "snapshot", ledger.SnapshotName(days(day)), rest)] = digest
	}
	return of
}

// lacks are the files that a tree does not have as they were.
func lacks(r Repository, files map[string]string) (missing []string) {
	for _, name := range slices.Sorted(maps.Keys(files)) {
		content, err := os.ReadFile(r.path(name))
		if err != nil || sum(content) != files[name] {
			missing = append(missing, name)
		}
	}
	return missing
}

// Nothing that was published ever leaves an archive, and each of its states can be read
// for two years as it was, bit by bit.
func TestArchive(t *testing.T) {
	needs(t)
	r := newArchive(t)
	states := map[int]map[string]string{}
	keys := keyring(t, "1.0.0")
	for i, version := range []string{"1.11.0", "1.12.0", "1.13.0", "1.14.0"} {
		publish(t, r, days(100*i), append(keys, small(t, version)...)...)
		states[100*i], keys = heads(t, r), nil
	}
	publish(t, r, days(390)) // signed anew: no other state
	c := readerOf(t, r)
	debs, rpms := c.all()
	if text := fmt.Sprint(debs, rpms); strings.Contains(text, "1.11.0") || strings.Contains(text, "1.12.0") {
		t.Errorf("the current suite has %s", text)
	}
	c.archived("1.11.0", "1.12.0", "1.13.0", "1.14.0")
	for day, state := range states {
		if missing := lacks(r, dated(state, day)); len(missing) > 0 || len(state) < 20 {
			t.Errorf("of day %d, %d files, there is no %q", day, len(state), missing)
		}
	}
	c.state(0, "1.11.0")
	c.state(200, "1.12.0", "1.13.0")
	l, err := ledger.Load(r.Dir, r.Trusted)
	must(t, err)
	if len(l.Snapshots) != 4 || len(l.Tombstones) > 0 {
		t.Errorf("snapshots are %v, tombstones %v", l.Snapshots, l.Tombstones)
	}
	// After two years, and more than a day.
	publish(t, r, days(732), small(t, "1.14.1")...)
	if missing := lacks(r, dated(states[100], 100)); len(missing) > 0 {
		t.Errorf("before its end: no %q", missing)
	}
	if missing := lacks(r, dated(states[0], 0)); len(missing) != len(states[0]) {
		t.Errorf("after two years, of %d files there are all but %q", len(states[0]), missing)
	}
	if c.exists("apt/snapshot/" + ledger.SnapshotName(days(0))) {
		t.Error("an empty folder is left")
	}
	c.archived("1.11.0", "1.12.0", "1.13.0", "1.14.0", "1.14.1")

	// What is fetched is the same, with all its states.
	s := &site{TB: t, tree: r}
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	fetched := newRepository(t)
	_, err = fetch(t.Context(), fetched, server.URL, false, hurried)
	must(t, err)
	s.same(fetched)
}

// archived wants the indexes of the archive to have versions, and all that they name.
func (c reader) archived(versions ...string) {
	c.Helper()
	debs := c.suite("apt/dists/archive", c.read("apt/dists/archive/InRelease", ""))
	rpms := c.rpm("rpm/archive/x86_64")
	for _, version := range versions {
		if !slices.Contains(debs, "spire-agent_"+version+"-1_amd64.deb") || !slices.Contains(rpms, "../../x86_64/spire-agent-"+version+"-1.x86_64.rpm") {
			c.Errorf("%s is not in the archive: %q, %q", version, debs, rpms)
		}
	}
	if len(debs) != len(versions)+len(architecture.All()) || len(rpms) != len(versions)+1 { // the keyring is for each architecture
		c.Errorf("the archive has %q and %q", debs, rpms)
	}
}

// state wants the state of a day to have versions, and no other, and their files where its
// clients look for them.
func (c reader) state(day int, versions ...string) {
	c.Helper()
	of := ledger.SnapshotName(days(day))
	base := path.Join("apt/snapshot", of)
	mirrors := string(c.read(path.Join(base, "mirrors"), ""))
	if want := "https://example.org/spire/" + base + "/\tpriority:1 type:index\nhttps://example.org/spire/apt/\tpriority:2 type:deb\n"; mirrors != want {
		c.Errorf("apt is led to\n%s", mirrors)
	}
	var debs []string
	inRelease := c.read(path.Join(base, "dists/stable/InRelease"), "")
	for _, line := range listLine.FindAllStringSubmatch(string(inRelease), -1) {
		if strings.HasSuffix(line[3], "binary-amd64/Packages.xz") {
			list := c.read(path.Join(base, "dists/stable", path.Dir(line[3]), "by-hash/SHA256", line[1]), line[1])
			debs = c.packages(unpack(c, line[3], list))
		}
	}
	base = path.Join("rpm/snapshot", of, "x86_64")
	golden.Check(c.TB.(*testing.T), "metalink-"+fmt.Sprint(day)+".golden", withoutNumbers(string(c.read(path.Join(base, "metalink.xml"), ""))))
	var want []string
	for _, version := range versions {
		want = append(want, "spire-agent_"+version+"-1_amd64.deb")
	}
	got := slices.DeleteFunc(debs, func(name string) bool { return !strings.HasPrefix(name, "spire-agent_") })
	if diff := cmp.Diff(want, got); diff != "" {
		c.Errorf("day %d (-want +got):\n%s", day, diff)
	}
}

// numberIn is what rpm's makers decide.
var numberIn = regexp.MustCompile(`<size>[0-9]+<`)

func withoutNumbers(text string) string {
	return numberIn.ReplaceAllString(withoutSums(text), "<size>SIZE<")
}

// apt itself takes a state as it was, by its list of mirrors, and what is archived.
func TestAptOfThen(t *testing.T) {
	needs(t, "apt-get", "apt-cache")
	r := newArchive(t)
	url, _ := serve(t, r)
	r.URL = url
	publish(t, r, day, signed(t, "1.11.0", 1)...)
	publish(t, r, days(1), append(small(t, "1.12.0"), small(t, "1.13.0")...)...)
	publish(t, r, days(200)) // 1.11.0 goes
	c := newAptClient(t, url, ours())
	entry := filepath.Join(filepath.Dir(c.dir), "spire.sources")
	present, err := os.ReadFile(entry)
	must(t, err)
	to := func(old, now string) {
		t.Helper()
		must(t, os.WriteFile(entry, []byte(strings.Replace(string(present), old, now, 1)), 0o600))
		c.must("apt-get", "update")
	}
	takes := func(versions ...string) {
		t.Helper()
		said := c.must("apt-cache", "madison", "spire-agent")
		for _, version := range versions {
			if !strings.Contains(said, version) {
				t.Errorf("there is no %s: %s", version, said)
			}
		}
		if got := strings.Count(said, "amd64 Packages"); got != len(versions) {
			t.Errorf("it is not %q: %s", versions, said)
		}
		c.must("apt-get", "download", "spire-agent="+versions[0])
	}
	to("", "")
	takes("1.12.0-1", "1.13.0-1")
	to(url+"/apt", "mirror+"+url+"/apt/snapshot/"+ledger.SnapshotName(day)+"/mirrors")
	takes("1.11.0-1")
	c.must("apt-get", "source", "--download-only", "spire=1.11.0-1")
	to("Suites: stable", "Suites: archive")
	takes("1.11.0-1", "1.12.0-1", "1.13.0-1")
}

// Who does not ask for an archive gets the very tree of before; once there is one, it
// stays, whatever is forgotten.
func TestArchiveStays(t *testing.T) {
	needs(t)
	r := newRepository(t)
	publish(t, r, day, small(t, "1.11.0")...)
	publish(t, r, days(1), append(small(t, "1.12.0"), small(t, "1.13.0")...)...)
	r.Everything, r.URL = true, "https://example.org"
	if report := publish(t, r, days(2)); report.Unchanged {
		t.Errorf("to keep everything from now on is nothing to do: %+v", report)
	}
	r.Everything = false
	if report := publish(t, r, days(2)); !report.Unchanged {
		t.Errorf("again: %+v", report)
	}
	publish(t, r, days(200))
	publish(t, r, days(400))
	if c := readerOf(t, r); !c.exists("apt/pool/main/s/spire/spire-agent_1.11.0-1_amd64.deb") || !c.exists("files/1.11.0-1/SHA256SUMS") {
		t.Error("what is archived is not there any more")
	} else if got := c.suite("apt/dists/archive", c.read("apt/dists/archive/InRelease", "")); !slices.Contains(got, "spire-agent_1.11.0-1_amd64.deb") {
		t.Errorf("the archive has %q", got)
	}
}

// An archive's publication is stopped after some of its changes: what was there before
// stays, and the next run leaves what an undisturbed one would have left.
func TestArchiveStopped(t *testing.T) {
	needs(t)
	r := newArchive(t)
	publish(t, r, day, small(t, "1.11.0")...)
	publish(t, r, days(1), append(small(t, "1.12.0"), small(t, "1.13.0")...)...)
	before := dated(heads(t, r), 1)
	next := small(t, "1.14.0")
	whole, changes := twin(t, r), 0
	whole.after = func(string) error {
		changes++
		return nil
	}
	publish(t, whole, days(200), next...)
	want := snapshot(t, whole.Dir)
	for n := 40; n < changes; n += 60 {
		one := twin(t, r)
		one.after = stop(n)
		if _, err := one.Publish(t.Context(), Publication{Files: next, Now: days(200), Pages: pages}); !errors.Is(err, errStopped) {
			t.Fatalf("after %d changes of %d: %v", n, changes, err)
		}
		if missing := lacks(one, before); len(missing) > 0 {
			t.Errorf("stopped after %d changes: no %q", n, missing)
		}
		one.after = nil
		publish(t, one, days(200), next...)
		if diff := difference(want, snapshot(t, one.Dir)); diff != "" {
			t.Errorf("stopped after %d changes of %d:\n%s", n, changes, diff)
		}
	}
}
