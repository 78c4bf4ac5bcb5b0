package repo

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/repo/apt"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/repo/ledger"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/run"
)

var errStopped = errors.New("stopped")

// stop ends a publication after its nth change.
func stop(n int) func(string) error {
	return func(change string) error {
		if n--; n < 0 {
			return fmt.Errorf("%w after it %s", errStopped, change)
		}
		return nil
	}
}

// scene is a publication that retires versions, deletes others and adds one,
// and the tree before and after it.
type scene struct {
	before Repository
	files  []string
	want   map[string]string
	// installed are the packages that clients find before and after.
	old, new [2][]string
	changes  int // that the publication makes
}

// ripe is when what the scene's publication retires and deletes is ripe for it.
var ripe = days(300)

func newScene(t *testing.T) scene {
	t.Helper()
	s := scene{before: newRepository(t), files: small(t, "1.14.0")}
	publish(t, s.before, day, small(t, "1.11.0")...)
	publish(t, s.before, days(1), append(small(t, "1.12.0"), keyring(t, "1.0.0")...)...)
	publish(t, s.before, days(2), small(t, "1.13.0")...)
	publish(t, s.before, days(200)) // retires 1.11.0
	s.old[0], s.old[1] = readerOf(t, s.before).all()
	after := twin(t, s.before)
	after.after = func(string) error {
		s.changes++
		return nil
	}
	report := publish(t, after, ripe, s.files...)
	if len(report.Retired) == 0 || len(report.Added) == 0 {
		t.Fatalf("the scene has too little in it: %+v", report)
	}
	s.new[0], s.new[1] = readerOf(t, after).all()
	s.want = snapshot(t, after.Dir)
	return s
}

// small is a version with few files.
func small(t *testing.T, version string) []string {
	t.Helper()
	f := &folder{TB: t, dir: t.TempDir()}
	f.add("spire-agent_"+version+"-1_amd64.deb", makeDeb(t, "spire-agent", version+"-1", "amd64", "spire"))
	f.add("spire-agent-"+version+"-1.x86_64.rpm", makeRPM(t, "spire-agent", version, 1, "x86_64", "spire-"+version+"-1.src.rpm"))
	return f.sums()
}

// check wants the one state or the other, of each repository.
func (s scene) check(t *testing.T, r Repository) {
	t.Helper()
	debs, rpms := readerOf(t, r).all()
	if !slices.Equal(debs, s.old[0]) && !slices.Equal(debs, s.new[0]) {
		t.Errorf("apt finds a third state: %q", debs)
	}
	for _, folder := range []string{".x86_64.rpm", ".aarch64.rpm", ".src.rpm"} {
		of := func(names []string) (found []string) {
			for _, name := range names {
				if strings.HasSuffix(name, folder) {
					found = append(found, name)
				}
			}
			return found
		}
		if got := of(rpms); !slices.Equal(got, of(s.old[1])) && !slices.Equal(got, of(s.new[1])) {
			t.Errorf("dnf finds a third state: %q", got)
		}
	}
}

// checkOthers has the next run publish something else, later: what clients found
// stays, with all that the indexes which they have read name.
func (s scene) checkOthers(t *testing.T, r Repository) {
	t.Helper()
	r.after = nil
	c := readerOf(t, r)
	debs, rpms := c.all()
	inRelease := c.read(apt.InRelease, "")
	publish(t, r, ripe.Add(time.Hour), small(t, "1.14.1")...)
	later, laterRPMs := c.all()
	for _, name := range append(debs, rpms...) {
		isOld := slices.Contains(s.old[0], name) || slices.Contains(s.old[1], name)
		if !isOld && !slices.Contains(later, name) && !slices.Contains(laterRPMs, name) {
			t.Errorf("%s was there, and is not any more", name)
		}
	}
	if slices.Equal(debs, s.new[0]) { // the old one had ended
		c.apt(inRelease)
	}
}

// A publication is stopped after each of its changes. Clients find the old state
// or the new one, and the next run leaves what an undisturbed one would have left.
func TestStopped(t *testing.T) {
	needs(t)
	s := newScene(t)
	for n := range s.changes {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			t.Parallel()
			r := twin(t, s.before)
			r.after = stop(n)
			if _, err := r.Publish(t.Context(), Publication{Files: s.files, Now: ripe, Pages: pages}); !errors.Is(err, errStopped) {
				t.Fatalf("it was not stopped: %v", err)
			}
			s.check(t, r)
			s.checkOthers(t, twin(t, r))
			r.after = nil
			if _, err := r.Publish(t.Context(), Publication{Files: s.files, Now: ripe, Pages: pages}); err != nil {
				t.Fatal(err)
			}
			if diff := difference(s.want, snapshot(t, r.Dir)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// The next run comes later, without the files, and is stopped itself.
func TestStoppedAgain(t *testing.T) {
	needs(t)
	s := newScene(t)
	for first := 10; ; first += 9 {
		r := twin(t, s.before)
		r.after = stop(first)
		_, err := r.Publish(t.Context(), Publication{Files: s.files, Now: ripe, Pages: pages})
		if err == nil {
			return
		}
		_, statErr := os.Stat(r.path(ledger.PendingName))
		planned := statErr == nil
		r.after = stop(first / 2)
		if _, err := r.Publish(t.Context(), Publication{Now: ripe.Add(ledger.Lifetime / 4), Pages: pages}); err != nil && !errors.Is(err, errStopped) {
			t.Fatal(err)
		}
		s.check(t, r)
		r.after = nil
		report, err := r.Publish(t.Context(), Publication{Now: ripe.Add(ledger.Lifetime / 4), Pages: pages})
		must(t, err)
		if diff := difference(s.want, snapshot(t, r.Dir)); planned && (diff != "" || !report.Unchanged) {
			t.Errorf("stopped after %d: %+v\n%s", first, report, diff)
		}
	}
}

// What a killed run leaves unfinished is removed.
func TestLeftovers(t *testing.T) {
	needs(t)
	r := newRepository(t)
	files := signed(t, "1.13.3", 1)
	clean := newRepository(t)
	publish(t, clean, day, files...)
	for _, name := range []string{
		"index.html.tmp-1", "ledger.pending.tmp-2", "apt/pool/main/s/spire/spire-agent_1.13.3-1_amd64.deb.tmp-3", "ledger/x.json.tmp-4",
		"rpm/x86_64/repodata.tmp-old/repomd.xml", "rpm/x86_64/repodata.tmp-old.tmp-5/x", "files/1.13.2-1/SHA256SUMS", "apt/pool/main/s/spire/of-a-version-that-was-given-up.deb",
	} {
		must(t, os.MkdirAll(filepath.Dir(r.path(name)), 0o755))
		must(t, os.WriteFile(r.path(name), []byte("half"), 0o644))
	}
	publish(t, r, day, files...)
	if diff := difference(snapshot(t, clean.Dir), snapshot(t, r.Dir)); diff != "" {
		t.Error(diff)
	}
}

// What is not the repository's own stays.
func TestOthersFiles(t *testing.T) {
	needs(t)
	r := newRepository(t)
	must(t, os.MkdirAll(r.path("images"), 0o755))
	for _, name := range []string{"CNAME", ".nojekyll", "images/logo.svg"} {
		must(t, os.WriteFile(r.path(name), []byte(name), 0o644))
	}
	publish(t, r, day, signed(t, "1.13.3", 1)...)
	for _, name := range []string{"CNAME", ".nojekyll", "images/logo.svg"} {
		if content, err := os.ReadFile(r.path(name)); err != nil || string(content) != name {
			t.Errorf("%s is %q (%v)", name, content, err)
		}
	}
}

// killVariable makes this test program a publication that kills itself. It is:
// folder, key file, number of changes, files.
const killVariable = "SPIRE_REPO_KILL"

func TestMain(m *testing.M) {
	if line := os.Getenv(killVariable); line != "" {
		publishAndDie(strings.Split(line, "\n"))
	}
	if line := os.Getenv(bringVariable); line != "" {
		bringAndDie(strings.Split(line, "\n"))
	}
	code := m.Run()
	_ = os.RemoveAll(theStage.dir) // empty where nothing was made
	os.Exit(code)
}

func publishAndDie(args []string) {
	file, err := os.Open(args[1])
	if err != nil {
		panic(err)
	}
	ring, err := openpgp.ReadKeyRing(file)
	if err != nil {
		panic(err)
	}
	left, err := strconv.Atoi(args[2])
	if err != nil {
		panic(err)
	}
	r := repositoryIn(args[0], pair{ring[0]})
	r.after = func(string) error {
		if left--; left < 0 {
			return syscall.Kill(os.Getpid(), syscall.SIGKILL)
		}
		return nil
	}
	_, err = r.Publish(context.Background(), Publication{Files: args[3:], Now: ripe, Pages: pages})
	panic(fmt.Sprint("still alive: ", err))
}

// The same with a real kill, at some of the changes.
func TestKilled(t *testing.T) {
	needs(t)
	s := newScene(t)
	secret := secretFile(t)
	for n := 3; n < s.changes; n += 8 {
		r := twin(t, s.before)
		line := strings.Join(append([]string{r.Dir, secret, fmt.Sprint(n)}, s.files...), "\n")
		err := run.New("/proc/self/exe").WithEnv(killVariable + "=" + line).Run(t.Context())
		var died *run.Error
		if !errors.As(err, &died) || !strings.Contains(err.Error(), "signal: killed") {
			t.Fatalf("it was not killed after %d changes: %v", n, err)
		}
		s.check(t, r)
		publish(t, r, ripe, s.files...)
		if diff := difference(s.want, snapshot(t, r.Dir)); diff != "" {
			t.Errorf("killed after %d changes:\n%s", n, diff)
		}
	}
}

// A full disk is like a kill, with words. There are disks of several sizes, so
// that it is full at several points.
func TestDiskFull(t *testing.T) {
	needs(t)
	s := newScene(t)
	for _, more := range []int{0, 8, 24, 64} { // KB
		disk := t.TempDir()
		if err := syscall.Mount("tmpfs", disk, "tmpfs", 0, "size=8m"); err != nil {
			t.Skipf("mounting a small tmpfs: %v (this needs root)", err)
		}
		t.Cleanup(func() { _ = syscall.Unmount(disk, 0) })
		r := s.before
		r.Dir = filepath.Join(disk, "repo")
		must(t, run.New("cp", "-a", s.before.Dir, r.Dir).Run(t.Context()))
		must(t, os.MkdirAll(filepath.Join(disk, ".work/repo/.work"), 0o755)) // for the lock
		fill(t, disk, more<<10)
		_, err := r.Publish(t.Context(), Publication{Files: s.files, Now: ripe, Pages: pages})
		if err == nil || !strings.Contains(err.Error(), "make room on the disk") {
			t.Fatalf("with %d KB: %v", more, err)
		}
		s.check(t, r)
		must(t, os.Remove(filepath.Join(disk, "filling")))
		publish(t, r, ripe, s.files...)
		if diff := difference(s.want, snapshot(t, r.Dir)); diff != "" {
			t.Errorf("with %d KB:\n%s", more, diff)
		}
	}
}

// fill takes a disk's room but for some bytes.
func fill(t *testing.T, disk string, left int) {
	t.Helper()
	var stat syscall.Statfs_t
	must(t, syscall.Statfs(disk, &stat))
	size := int64(stat.Bavail)*stat.Bsize - int64(left)
	must(t, os.WriteFile(filepath.Join(disk, "filling"), make([]byte, size), 0o600))
}

// An index that was signed once can be read until its end, whatever was
// published since, and so can the metadata of an earlier repomd.xml.
func TestEarlierIndexes(t *testing.T) {
	needs(t)
	r := newRepository(t)
	type state struct {
		inRelease, repomd []byte
		day               int
	}
	var states []state
	for i, version := range []string{"1.11.0", "1.12.0", "1.13.0", "1.14.0", "1.15.0"} {
		publish(t, r, days(10*i), signed(t, version, 1)...)
		c := readerOf(t, r)
		states = append(states, state{c.read(apt.InRelease, ""), c.read("rpm/x86_64/repodata/repomd.xml", ""), 10 * i})
	}
	kept := 0
	for _, s := range states {
		if s.day+14 < 40 { // no longer valid
			continue
		}
		kept++
		readerOf(t, r).apt(s.inRelease)
		for _, name := range locations(s.repomd) {
			readerOf(t, r).read("rpm/x86_64/repodata/"+name, name[:64])
		}
	}
	if kept != 2 {
		t.Fatalf("%d earlier states were looked at", kept)
	}
	for _, name := range locations(states[0].repomd) {
		if readerOf(t, r).exists("rpm/x86_64/repodata/" + name) {
			t.Errorf("%s is still there", name)
		}
	}
	if l, err := ledger.Load(r.Dir, r.Trusted); err != nil || len(l.Kept) > 3*(15+9) {
		t.Errorf("%d index files are kept (%v)", len(l.Kept), err)
	}
}

// A retired version leaves the indexes at once, its files when no valid index
// names them, and its names never.
func TestRetired(t *testing.T) {
	needs(t)
	r := newRepository(t)
	old := signed(t, "1.11.0", 1)
	publish(t, r, day, old...)
	publish(t, r, days(1), append(signed(t, "1.12.0", 1), signed(t, "1.13.0", 1)...)...)
	isThere := func(want bool) {
		t.Helper()
		for _, name := range []string{
			"apt/pool/main/s/spire/spire-agent_1.11.0-1_amd64.deb", "apt/pool/main/s/spire/spire_1.11.0.orig.tar.xz",
			"rpm/aarch64/spire-agent-1.11.0-1.aarch64.rpm", "rpm/source/spire-1.11.0-1.src.rpm", "files/1.11.0-1/SHA256SUMS",
		} {
			if got := readerOf(t, r).exists(name); got != want {
				t.Errorf("%s is there: %v", name, got)
			}
		}
	}
	publish(t, r, days(90)) // because the indexes have ended
	isThere(true)
	report := publish(t, r, days(100))
	if len(report.Retired) != len(old) {
		t.Errorf("retired are %v", report.Retired)
	}
	isThere(true) // the indexes of day 90 name them until day 104
	publish(t, r, days(105))
	_, err := r.Publish(t.Context(), Publication{Now: days(105), Refresh: true, Pages: pages})
	must(t, err)
	isThere(true) // somebody's clock may be wrong
	_, err = r.Publish(t.Context(), Publication{Now: days(106), Refresh: true, Pages: pages})
	must(t, err)
	isThere(false)
	if _, err := os.Stat(r.path("files/1.11.0-1")); err == nil {
		t.Error("an empty folder is left")
	}
	debs, rpms := readerOf(t, r).all()
	if text := fmt.Sprint(debs, rpms); strings.Contains(text, "1.11.0") {
		t.Error(text)
	}
	if report := publish(t, r, days(106), old...); !report.Unchanged {
		t.Errorf("what is retired was taken back: %+v", report)
	}
	other := &folder{TB: t, dir: t.TempDir()}
	other.add("spire-agent_1.11.0-1_amd64.deb", []byte("other"))
	if got := publishFails(t, r, days(107), other.files...); !strings.Contains(got, "what is published never changes") {
		t.Error(got)
	}
}

// The same where the indexes had ended long before: what they named is still not
// deleted by the publication that retires it.
func TestRetiredLate(t *testing.T) {
	needs(t)
	r := newRepository(t)
	publish(t, r, day, small(t, "1.11.0")...)
	publish(t, r, days(1), small(t, "1.12.0")...)
	publish(t, r, days(2), small(t, "1.13.0")...)
	const deb = "apt/pool/main/s/spire/spire-agent_1.11.0-1_amd64.deb"
	if report := publish(t, r, days(200)); len(report.Retired) == 0 || !readerOf(t, r).exists(deb) {
		t.Errorf("it is not there any more; the report is %+v", report)
	}
	if publish(t, r, days(210)); readerOf(t, r).exists(deb) {
		t.Error("it is still there")
	}
}
