package repo

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/artifact"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/repo/host"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/repo/layout"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/repo/ledger"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/repo/store"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/repo/store/s3test"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/run"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/tarball"
)

// once makes one attempt at everything.
var once = host.Patience{Attempts: 1, Pause: time.Millisecond, Longest: time.Millisecond, Stall: 2 * time.Second}

// archived is the place of the tests' trees in a bucket.
const archived = "s3://" + s3test.Bucket + "/spire"

// bucket is the store behind a front.
func bucket(t testing.TB, front *s3test.Front, p host.Patience, log io.Writer) store.Store {
	t.Helper()
	found, err := store.Open(archived, store.Access{Endpoint: front.URL, KeyID: s3test.KeyID, Secret: s3test.Secret}, p, log)
	must(t, err)
	return found
}

func publisher(r Repository) store.Publisher {
	return store.Publisher{Tree: r.tree(day), Keys: r.keys(), Trusted: r.Trusted, Public: r.Public, Log: r.Log}
}

// bring wants it to go well.
func bring(t testing.TB, r Repository, to store.Store) store.Report {
	t.Helper()
	report, err := publisher(r).Publish(t.Context(), to)
	must(t, err)
	return report
}

// served is what a service has, as a tree to read.
func served(t testing.TB, m *s3test.Memory, r Repository) Repository {
	t.Helper()
	r.Dir = filepath.Join(t.TempDir(), "dist", "repo")
	m.Dump(t, "spire/", r.Dir)
	return r
}

// own are the store's own files, which no tree has.
var own = regexp.MustCompile(`^ledger\.plan$|^ledger/[0-9a-f]{64}\.tar\.gz$`)

// contents are the files of a tree with their digests; those of a store without its own.
func contents(t testing.TB, r Repository) map[string]string {
	t.Helper()
	files := map[string]string{}
	l, err := os.ReadFile(r.path(ledger.Name))
	must(t, err)
	for name, line := range snapshot(t, r.Dir) {
		if words := strings.Fields(line); len(words) > 1 && !own.MatchString(name) && name != ledger.RecordPath(sum(l)) {
			files[name] = words[2]
		}
	}
	return files
}

// same wants a service to have a tree, no more and no less.
func same(t testing.TB, m *s3test.Memory, r Repository) {
	t.Helper()
	if diff := cmp.Diff(contents(t, r), contents(t, served(t, m, r))); diff != "" {
		t.Errorf("the tree, then the store:\n%s", diff)
	}
}

// A store gets a tree, and then what is new of the next ones; what is retired goes when it
// goes in the tree. Nothing is asked for a list.
func TestBrought(t *testing.T) {
	needs(t)
	memory := s3test.NewMemory()
	front := s3test.NewFront(t, memory)
	r := newRepository(t)
	var log locked
	r.Log = &log
	to := bucket(t, front, once, &log)
	known := Publication{
		Files: small(t, "1.11.0"), Now: day, Pages: pages,
		Assessed: []ledger.Assessed{{Source: "spire", Version: "1.11.0-1", Seen: day, VEX: json.RawMessage("{}")}},
	}
	_, err := r.Publish(t.Context(), known)
	must(t, err)
	publish(t, r, days(1), append(small(t, "1.12.0"), keyring(t, "2026.03.01")...)...)
	if report := bring(t, r, to); report.Unchanged || report.Files < 40 {
		t.Errorf("the first publication: %+v", report)
	}
	same(t, memory, r)
	front.Forget()
	if report := bring(t, r, to); !report.Unchanged || len(front.Forget()) != 2 {
		t.Errorf("again: %+v", report)
	}
	for _, step := range []struct {
		day   int
		files []string
	}{{2, small(t, "1.13.0")}, {200, nil}, {300, small(t, "1.14.0")}} {
		publish(t, r, days(step.day), step.files...)
		front.Forget()
		report := bring(t, r, to)
		same(t, memory, r)
		for _, request := range front.Forget() {
			isNew := !strings.Contains(request.Key, "/pool/") || slices.ContainsFunc(step.files, func(file string) bool { return filepath.Base(file) == filepath.Base(request.Key) })
			if request.Method == http.MethodPut && !isNew {
				t.Errorf("day %d: %s was sent, which was there", step.day, request.Key)
			}
		}
		if step.day == 300 && report.Removed == 0 {
			t.Errorf("nothing was removed: %+v", report)
		}
	}
	for _, want := range []string{" new files, ", "sent "} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("nothing says %q", want)
		}
	}
}

// Web hosts say what the store has of each file.
func TestBroughtHeads(t *testing.T) {
	needs(t)
	memory := s3test.NewMemory()
	r := newRepository(t)
	publish(t, r, day, small(t, "1.13.3")...)
	bring(t, r, bucket(t, s3test.NewFront(t, memory), once, io.Discard))
	const forever, asked = "public, max-age=31536000, immutable", "public, no-cache"
	objects := memory.Objects()
	for name, want := range map[string][2]string{
		"apt/pool/main/s/spire/spire-agent_1.13.3-1_amd64.deb": {"application/vnd.debian.binary-package", forever},
		"rpm/x86_64/spire-agent-1.13.3-1.x86_64.rpm":           {"application/x-rpm", forever},
		"files/1.13.3-1/SHA256SUMS":                            {"text/plain; charset=utf-8", forever},
		"apt/dists/stable/InRelease":                           {"text/plain; charset=utf-8", asked},
		"apt/dists/stable/main/binary-amd64/Packages.xz":       {"application/x-xz", asked},
		"rpm/x86_64/repodata/repomd.xml":                       {"application/xml", asked},
		"rpm/x86_64/repodata/repomd.xml.asc":                   {"application/pgp-signature", asked},
		"index.html":                                           {"text/html; charset=utf-8", asked},
		"ledger.json":                                          {"application/json", asked},
	} {
		head := objects["spire/"+name].Header
		if got := [2]string{head.Get("Content-Type"), head.Get("Cache-Control")}; got != want {
			t.Errorf("%s: %q", name, got)
		}
	}
	for key, object := range objects {
		if strings.Contains(key, "/by-hash/") && object.Header.Get("Cache-Control") != forever {
			t.Errorf("%s may change: %q", key, object.Header)
		}
	}
}

// mixed are the folders of rpms whose repomd.xml and signature are not of the same state:
// that they are two requests is what object storage has.
func mixed(t testing.TB, r Repository) (folders []string) {
	t.Helper()
	for _, folder := range rpmFolders {
		repomd, err := os.ReadFile(r.path("rpm/" + folder + "/repodata/repomd.xml"))
		must(t, err)
		signature, err := os.ReadFile(r.path("rpm/" + folder + "/repodata/repomd.xml.asc"))
		must(t, err)
		if r.Trusted.Detached(bytes.NewReader(repomd), signature) != nil {
			folders = append(folders, folder)
		}
	}
	return folders
}

// stage is a store with the tree before a publication that retires versions, deletes others
// and adds one, and the tree after it.
type stage struct {
	scene
	after  Repository
	memory *s3test.Memory
	asks   int // requests of the publication
}

// theStage is made once: nobody changes its trees.
var theStage struct {
	once  sync.Once
	dir   string
	stage stage
}

func newStage(t *testing.T) stage {
	t.Helper()
	theStage.once.Do(func() { theStage.stage = makeStage(t) })
	if theStage.stage.asks == 0 {
		t.Skip("it could not be made, as another test says")
	}
	return theStage.stage
}

func makeStage(t *testing.T) stage {
	t.Helper()
	s := stage{scene: newScene(t), memory: s3test.NewMemory()}
	dir, err := os.MkdirTemp("", "spire-packages-stage-") // it outlives this test
	must(t, err)
	theStage.dir = dir
	must(t, run.New("cp", "-a", s.before.Dir, filepath.Join(dir, "repo")).Run(t.Context()))
	s.before.Dir = filepath.Join(dir, "repo")
	bring(t, s.before, bucket(t, s3test.NewFront(t, s.memory), once, io.Discard))
	s.after = s.before
	s.after.Dir = filepath.Join(dir, "after", "repo")
	must(t, os.MkdirAll(filepath.Dir(s.after.Dir), 0o755))
	must(t, run.New("cp", "-a", s.before.Dir, s.after.Dir).Run(t.Context()))
	files := filepath.Join(dir, "files")
	must(t, run.New("cp", "-a", filepath.Dir(s.files[0]), files).Run(t.Context()))
	for i, file := range s.files {
		s.files[i] = filepath.Join(files, filepath.Base(file))
	}
	publish(t, s.after, ripe, s.files...)
	front := s3test.NewFront(t, s.memory.Clone())
	bring(t, s.after, bucket(t, front, once, io.Discard))
	s.asks = len(front.Forget())
	return s
}

// patient says whether somebody waits for what takes minutes.
func patient() bool { return os.Getenv("SPIRE_TEST_POINTS") == "all" }

// long skips a test that is not for whoever waits for a commit.
func long(t *testing.T) {
	t.Helper()
	needs(t)
	if !patient() {
		t.Skip("it takes long: test:store plays it, and so does SPIRE_TEST_POINTS=all")
	}
}

// points are those of a publication's requests at which something happens: each so many-th,
// or all where SPIRE_TEST_POINTS is all, which takes minutes.
func points(requests, each int) (points []int) {
	if patient() {
		each = 1
	}
	for n := 0; n < requests; n += each {
		points = append(points, n)
	}
	return points
}

// A run is cut off after any of its requests. Clients find the state before or the new one,
// but where just the pair of repomd.xml and its signature is parted; the next run finishes
// it.
func TestBroughtCutOff(t *testing.T) {
	needs(t)
	s := newStage(t)
	parted := 0
	for _, n := range points(s.asks, 9) {
		memory := s.memory.Clone()
		front := s3test.NewFront(t, memory)
		front.Cut(n)
		if _, err := publisher(s.after).Publish(t.Context(), bucket(t, front, once, io.Discard)); err == nil {
			t.Fatalf("it was not cut off after %d requests", n)
		}
		now := served(t, memory, s.before)
		if folders := mixed(t, now); len(folders) == 0 {
			s.check(t, now)
		} else if parted++; len(folders) > 1 {
			t.Errorf("after %d requests, repomd.xml and its signature are parted in %q", n, folders)
		}
		front.Cut(-1)
		bring(t, s.after, bucket(t, front, once, io.Discard))
		same(t, memory, s.after)
	}
	if parted > len(rpmFolders) {
		t.Errorf("%d of %d times the pair is parted", parted, s.asks)
	}
	t.Logf("cut off after %d of %d requests; %d of them part a pair", len(points(s.asks, 9)), s.asks, parted)
}

// The next run comes on another machine, which has nothing and fetches what it needs.
func TestBroughtCutOffElsewhere(t *testing.T) {
	long(t)
	s := newStage(t)
	for _, n := range points(s.asks, 7) {
		memory := s.memory.Clone()
		front := s3test.NewFront(t, memory)
		front.Cut(n)
		_, _ = publisher(s.after).Publish(t.Context(), bucket(t, front, once, io.Discard))
		front.Cut(-1)
		r := newRepository(t)
		to := bucket(t, front, once, io.Discard)
		_, err := r.FetchFrom(t.Context(), to, false)
		must(t, err)
		publish(t, r, ripe.Add(time.Hour), small(t, "1.14.1")...)
		bring(t, r, to)
		now := served(t, memory, r)
		debs, _ := readerOf(t, now).all()
		if !slices.Contains(debs, "spire-agent_1.14.1-1_amd64.deb") {
			t.Errorf("cut off after %d requests: apt finds %q", n, debs)
		}
	}
}

// Two publish at once: at each request of the one, the other does all of its own. One of
// them is refused, and nothing that was published is lost.
func TestTwoPublishers(t *testing.T) {
	needs(t)
	s := newStage(t)
	other := twin(t, s.before)
	publish(t, other, ripe.Add(time.Hour), small(t, "1.14.9")...)
	for _, n := range append([]int{7}, points(s.asks, 30)...) { // 7: before the plan
		memory := s.memory.Clone()
		front, theirs := s3test.NewFront(t, memory), s3test.NewFront(t, memory)
		var refused []error
		left := n
		front.Fail(func(http.ResponseWriter, *http.Request, http.Handler) bool {
			if left--; left == -1 {
				_, err := publisher(other).Publish(context.WithoutCancel(t.Context()), bucket(t, theirs, once, io.Discard))
				refused = append(refused, err)
			}
			return false
		})
		_, err := publisher(s.after).Publish(t.Context(), bucket(t, front, once, io.Discard))
		front.Fail(nil)
		if refused = append(refused, err); len(refused) != 2 || (refused[0] == nil) == (refused[1] == nil) {
			t.Fatalf("at request %d: %v", n, refused)
		}
		if err := errors.Join(refused...); !strings.Contains(err.Error(), "run repo:sync again") {
			t.Errorf("at request %d: %v", n, err)
		}
		r, files := newRepository(t), s.files
		if refused[0] != nil {
			files = small(t, "1.14.9")
		}
		to := bucket(t, front, once, io.Discard)
		_, err = r.FetchFrom(t.Context(), to, false)
		must(t, err)
		publish(t, r, ripe.Add(2*time.Hour), files...)
		bring(t, r, to)
		debs, rpms := readerOf(t, served(t, memory, r)).all()
		for _, want := range []string{"spire-agent_1.14.0-1_amd64.deb", "spire-agent_1.14.9-1_amd64.deb", "spire-agent-1.14.0-1.x86_64.rpm", "spire-agent-1.14.9-1.x86_64.rpm"} {
			if !slices.Contains(append(debs, rpms...), want) {
				t.Errorf("at request %d: %s is lost", n, want)
			}
		}
	}
}

// A run that was not cut off, but is slow, is overtaken: another machine goes on from what it
// has begun, and nothing that the slow one still sends comes in the place of that.
func TestOvertaken(t *testing.T) {
	needs(t)
	s := newStage(t)
	waits := once // for all of the other's publication
	waits.Stall = time.Minute
	for _, n := range append([]int{s.asks - 20}, points(s.asks, 30)[1:]...) {
		memory := s.memory.Clone()
		front, theirs := s3test.NewFront(t, memory), s3test.NewFront(t, memory)
		to, later := bucket(t, theirs, once, io.Discard), newRepository(t)
		var left atomic.Int64
		left.Store(int64(n))
		front.Fail(func(http.ResponseWriter, *http.Request, http.Handler) bool {
			if left.Add(-1) == -1 {
				_, err := later.FetchFrom(context.WithoutCancel(t.Context()), to, false)
				must(t, err)
				publish(t, later, ripe.Add(time.Hour), small(t, "1.14.9")...)
				bring(t, later, to)
			}
			return false
		})
		if _, err := publisher(s.after).Publish(t.Context(), bucket(t, front, waits, io.Discard)); err == nil || !strings.Contains(err.Error(), "run repo:sync again") {
			t.Errorf("overtaken at request %d: %v", n, err)
		}
		if diff := cmp.Diff(contents(t, later)[ledger.Name], contents(t, served(t, memory, later))[ledger.Name]); diff != "" {
			t.Errorf("overtaken at request %d: the ledger is not the last one's", n)
		}
		debs, rpms := readerOf(t, served(t, memory, later)).all()
		if !slices.Contains(debs, "spire-agent_1.14.9-1_amd64.deb") || !slices.Contains(rpms, "spire-agent-1.14.9-1.x86_64.rpm") {
			t.Errorf("overtaken at request %d: clients find %q %q", n, debs, rpms)
		}
	}
}

// faulty is a fault that is done to each request of a kind, the first time that it comes.
func faulty(do s3test.Fault) s3test.Fault {
	seen := map[string]bool{}
	lock := make(chan struct{}, 1)
	return func(w http.ResponseWriter, r *http.Request, pass http.Handler) bool {
		lock <- struct{}{}
		first := !seen[r.Method+r.URL.Path]
		seen[r.Method+r.URL.Path] = true
		<-lock
		return first && do(w, r, pass)
	}
}

// What a store does wrong once is mended by one more attempt.
func TestBroughtFaults(t *testing.T) {
	needs(t)
	s := newStage(t)
	for name, fault := range map[string]s3test.Fault{
		"503": func(w http.ResponseWriter, _ *http.Request, _ http.Handler) bool {
			w.Header().Set("Retry-After", "0")
			w.WriteHeader(http.StatusServiceUnavailable)
			return true
		},
		"500 after half of it": func(w http.ResponseWriter, r *http.Request, _ http.Handler) bool {
			_, _ = io.CopyN(io.Discard, r.Body, r.ContentLength/2)
			w.WriteHeader(http.StatusInternalServerError)
			return true
		},
		"cut after half of it": func(_ http.ResponseWriter, r *http.Request, _ http.Handler) bool {
			_, _ = io.CopyN(io.Discard, r.Body, r.ContentLength/2)
			panic(http.ErrAbortHandler)
		},
		"the answer is lost": func(_ http.ResponseWriter, r *http.Request, pass http.Handler) bool {
			pass.ServeHTTP(nowhere{http.Header{}}, r)
			panic(http.ErrAbortHandler)
		},
		"half of the answer": func(w http.ResponseWriter, r *http.Request, pass http.Handler) bool {
			if r.Method != http.MethodGet {
				return false
			}
			pass.ServeHTTP(&half{ResponseWriter: w}, r)
			return true
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			memory := s.memory.Clone()
			front := s3test.NewFront(t, memory)
			front.Fail(faulty(fault))
			var log locked
			_, err := publisher(s.after).Publish(t.Context(), bucket(t, front, hurried, &log))
			must(t, err)
			same(t, memory, s.after)
			if !strings.Contains(log.String(), "(attempt 2 of 3)") {
				t.Errorf("it says %q", log.String())
			}
			r := newRepository(t)
			front.Fail(faulty(fault))
			if _, err := r.FetchFrom(t.Context(), bucket(t, front, hurried, io.Discard), false); err != nil {
				t.Error(err)
			}
		})
	}
}

// nowhere is an answer that nobody gets.
type nowhere struct{ header http.Header }

func (n nowhere) Header() http.Header         { return n.header }
func (n nowhere) Write(b []byte) (int, error) { return len(b), nil }
func (n nowhere) WriteHeader(int)             {}

// half is an answer whose content breaks off.
type half struct{ http.ResponseWriter }

func (h *half) Write(b []byte) (int, error) {
	_, _ = h.ResponseWriter.Write(b[:len(b)/2])
	panic(http.ErrAbortHandler)
}

// A store that is down ends the run, after so many attempts as are bounded.
func TestBroughtDown(t *testing.T) {
	needs(t)
	s := newStage(t)
	for name, fault := range map[string]s3test.Fault{
		"503": func(w http.ResponseWriter, _ *http.Request, _ http.Handler) bool {
			w.Header().Set("Retry-After", "3600")
			w.WriteHeader(http.StatusServiceUnavailable)
			return true
		},
		"silent": func(_ http.ResponseWriter, r *http.Request, _ http.Handler) bool {
			<-r.Context().Done()
			return true
		},
	} {
		front := s3test.NewFront(t, s.memory.Clone())
		front.Fail(fault)
		begun := time.Now()
		_, err := publisher(s.after).Publish(t.Context(), bucket(t, front, hurried, io.Discard))
		if err == nil || !strings.Contains(err.Error(), "reading ledger.plan: ") || len(front.Forget()) != 3 || time.Since(begun) > 5*time.Second {
			t.Errorf("%s: %v, after %s", name, err, time.Since(begun))
		}
	}
}

// From a store an empty machine gets what a publication needs, in few requests and without
// the packages, and publishes what one that has all would have.
func TestFetchFromStore(t *testing.T) {
	needs(t)
	memory := s3test.NewMemory()
	front := s3test.NewFront(t, memory)
	to := bucket(t, front, once, io.Discard)
	whole := newRepository(t)
	publish(t, whole, day, append(small(t, "1.12.0"), keyring(t, "2026.03.01")...)...)
	old := signed(t, "1.13.0", 1)
	publish(t, whole, days(200), old...)
	bring(t, whole, to)
	for i, version := range []string{"1.13.1", "1.14.0"} {
		r := newRepository(t)
		front.Forget()
		_, err := r.FetchFrom(t.Context(), to, false)
		must(t, err)
		asked := front.Forget()
		for _, request := range asked {
			if strings.Contains(request.Key, "/pool/") || strings.HasSuffix(request.Key, ".rpm") {
				t.Errorf("it asked for %s", request.Key)
			}
		}
		if most := 3 + 3*len(rpmFolders); len(asked) > most { // three lists of each
			t.Errorf("it asked %d times, and not %d at most", len(asked), most)
		}
		if report := publish(t, r, days(201+2*i)); !report.Unchanged {
			t.Errorf("nothing is new: %+v", report)
		}
		files := small(t, version)
		at := days(202 + 10*i)
		publish(t, r, at, append(files, named(t, old, "spire_1.13.0.orig.tar.xz"))...)
		publish(t, whole, at, files...)
		bring(t, r, to)
		same(t, memory, whole)
	}
}

// What is not there is fetched from where it is, or said to be missing.
func TestFetchFromStoreRefused(t *testing.T) {
	needs(t)
	memory := s3test.NewMemory()
	to := bucket(t, s3test.NewFront(t, memory), once, io.Discard)
	r := newRepository(t)
	if _, err := r.FetchFrom(t.Context(), to, false); err == nil || !strings.Contains(err.Error(), "make the first publication with -first") {
		t.Errorf("nothing is there: %v", err)
	}
	publish(t, r, day, small(t, "1.13.0")...)
	bring(t, r, to)
	part := newRepository(t)
	_, err := part.FetchFrom(t.Context(), to, false)
	must(t, err)
	elsewhere := s3test.NewFront(t, s3test.NewMemory())
	if _, err := publisher(part).Publish(t.Context(), bucket(t, elsewhere, once, io.Discard)); err == nil || !strings.Contains(err.Error(), "it is not here, and not there") {
		t.Errorf("to another store: %v", err)
	}
	if _, err := part.Fetch(t.Context(), "http://127.0.0.1:1", false); err == nil || !strings.Contains(err.Error(), "a part only is in") {
		t.Errorf("from a web host: %v", err)
	}
	for key, object := range memory.Objects() {
		if strings.HasSuffix(key, ".tar.gz") {
			memory.Put(key, object.Content[:len(object.Content)/2])
		}
	}
	if _, err := newRepository(t).FetchFrom(t.Context(), to, false); err == nil || !strings.Contains(err.Error(), ".tar.gz") {
		t.Errorf("half of what is read: %v", err)
	}
}

// Who can write to the store, and signs nothing, does not reach the machine that publishes.
func TestFetchFromStoreHostile(t *testing.T) {
	needs(t)
	s := newStage(t)
	memory := s.memory.Clone()
	var hostile bytes.Buffer
	archive := tarball.New(&hostile, day)
	for key, object := range memory.Objects() { // with what has to be there
		if strings.HasSuffix(key, ".tar.gz") {
			reader := tar.NewReader(bytes.NewReader(unpack(t, key, object.Content)))
			for header, err := reader.Next(); err == nil; header, err = reader.Next() {
				if header.Typeflag != tar.TypeReg {
					continue
				}
				content, err := io.ReadAll(reader)
				must(t, err)
				must(t, archive.Bytes(header.Name, 0o644, content))
			}
		}
	}
	must(t, archive.Bytes("evil", 0o644, []byte("theirs")))
	must(t, archive.Close())
	packed, err := artifact.Gzip(hostile.Bytes())
	must(t, err)
	var plan map[string]any
	must(t, json.Unmarshal(memory.Objects()["spire/ledger.plan"].Content, &plan))
	plan["Reads"], plan["Keys"] = "ledger/theirs.tar.gz", []string{"evil", "../evil"}
	plan["Remove"] = []string{"index.html", "../other/key", "apt/../../other/key"}
	memory.Put("spire/ledger.plan", ledger.Encode(plan))
	memory.Put("spire/ledger/theirs.tar.gz", packed)
	memory.Put("other/key", []byte("somebody's"))
	to := bucket(t, s3test.NewFront(t, memory), once, io.Discard)
	r := newRepository(t)
	_, err = r.FetchFrom(t.Context(), to, false)
	must(t, err)
	if readerOf(t, r).exists("evil") {
		t.Error("their file is there")
	}
	publish(t, r, ripe.Add(time.Hour), small(t, "1.14.1")...)
	bring(t, r, to)
	if _, ok := memory.Objects()["other/key"]; !ok {
		t.Error("somebody's file was removed")
	}
}

// Nothing is written where what is there is not what it should be.
func TestBroughtRefused(t *testing.T) {
	needs(t)
	s := newStage(t)
	for name, c := range map[string]struct {
		tree  Repository
		spoil func(m *s3test.Memory)
		want  string
	}{
		"a newer state": {s.before, func(m *s3test.Memory) {
			bring(t, s.after, bucket(t, s3test.NewFront(t, m), once, io.Discard))
		}, "after this tree, which is of 2026-09-17T12:00:00Z: run repo:sync again"},
		"another plan": {s.after, func(m *s3test.Memory) { m.Put("spire/ledger.plan", []byte("{}")) }, "ledger.plan has no ledger that fits"},
		"no plan":      {s.after, func(m *s3test.Memory) { m.Put("spire/ledger.plan", []byte("x")) }, "is not what a publication leaves"},
		"a forged ledger": {s.after, func(m *s3test.Memory) {
			m.Delete("spire/ledger.plan")
			m.Put("spire/ledger.json", []byte("{}"))
		}, "is not one that a trusted key has signed"},
		"other bytes under a published name": {s.after, func(m *s3test.Memory) {
			m.Put("spire/apt/pool/main/s/spire/spire-agent_1.14.0-1_amd64.deb", []byte("theirs"))
		}, "what is published never changes"},
		"a changed file here": {func() Repository {
			r := twin(t, s.after)
			must(t, os.WriteFile(r.path("apt/pool/main/s/spire/spire-agent_1.14.0-1_amd64.deb"), []byte("changed"), 0o600))
			return r
		}(), func(*s3test.Memory) {}, "put the published one back"},
		"a publication here that was cut off": {func() Repository {
			r := twin(t, s.before)
			r.after = stop(20)
			_, _ = r.Publish(t.Context(), Publication{Files: s.files, Now: ripe, Pages: pages})
			return r
		}(), func(*s3test.Memory) {}, "its publication was cut off"},
	} {
		memory := s.memory.Clone()
		c.spoil(memory)
		before := memory.Objects()
		_, err := publisher(c.tree).Publish(t.Context(), bucket(t, s3test.NewFront(t, memory), once, io.Discard))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
		for key, object := range memory.Objects() {
			if _, ok := before[key]; ok && !bytes.Equal(before[key].Content, object.Content) {
				t.Errorf("%s: %s was changed", name, key)
			}
		}
	}
}

// A tree that something else brought to the store is taken over.
func TestBroughtOver(t *testing.T) {
	needs(t)
	s := newStage(t)
	memory := s3test.NewMemory()
	for name := range contents(t, s.before) {
		content, err := os.ReadFile(s.before.path(name))
		must(t, err)
		memory.Put("spire/"+name, content)
	}
	bring(t, s.after, bucket(t, s3test.NewFront(t, memory), once, io.Discard))
	s.check(t, served(t, memory, s.after))
}

// Without conditions it is said that one publication can be lost.
func TestBroughtCareless(t *testing.T) {
	needs(t)
	memory := s3test.NewMemory()
	memory.Careless = true
	r := newRepository(t)
	var log locked
	r.Log = &log
	publish(t, r, day, small(t, "1.13.0")...)
	bring(t, r, bucket(t, s3test.NewFront(t, memory), once, io.Discard))
	if !strings.Contains(log.String(), "of two publications at once, one can be lost") {
		t.Errorf("it says %q", log.String())
	}
}

// A dry run changes nothing, and says what would be done.
func TestBroughtDry(t *testing.T) {
	needs(t)
	s := newStage(t)
	p := publisher(s.after)
	var log locked
	p.Log, p.Dry = &log, true
	front := s3test.NewFront(t, s.memory)
	_, err := p.Publish(t.Context(), bucket(t, front, once, io.Discard))
	must(t, err)
	for _, request := range front.Forget() {
		if request.Method != http.MethodGet && request.Method != http.MethodHead {
			t.Errorf("it did %v", request)
		}
	}
	for _, want := range []string{
		"would send apt/pool/main/s/spire/spire-agent_1.14.0-1_amd64.deb", "would put apt/dists/stable/InRelease in the place",
		"would remove apt/pool/main/s/spire/spire-agent_1.11.0-1_amd64.deb",
	} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("it does not say %q, but\n%s", want, log.String())
		}
	}
}

// The order in which a store gets files is that in which the tree gets them.
func TestOrder(t *testing.T) {
	needs(t)
	s := newStage(t)
	r := twin(t, s.before)
	var names []string
	r.after = func(change string) error {
		verb, name, _ := strings.Cut(change, " ")
		if verb != "made" && verb != "removed" && name != ledger.PendingName {
			names = append(names, name)
		}
		return nil
	}
	publish(t, r, ripe, s.files...)
	l, err := ledger.Load(r.Dir, r.Trusted)
	must(t, err)
	if wrong := misplaced(names, order(l, r)); wrong != "" {
		t.Error(wrong)
	}
	front := s3test.NewFront(t, s.memory.Clone())
	bring(t, s.after, bucket(t, front, once, io.Discard))
	var sent []string
	l, err = ledger.Load(s.after.Dir, s.after.Trusted)
	must(t, err)
	places := order(l, s.after)
	for _, request := range front.Forget() {
		name := strings.TrimPrefix(request.Key, "spire/")
		if _, ok := places[name]; request.Method == http.MethodPut && ok {
			sent = append(sent, name)
		}
	}
	if wrong := misplaced(sent, places); wrong != "" || len(sent) < 20 {
		t.Errorf("%d files are sent to the store: %s", len(sent), wrong)
	}
	slices.Reverse(names)
	if misplaced(names, order(l, r)) == "" {
		t.Error("the other way round is as good")
	}
}

func misplaced(names []string, places map[string]int) string {
	at := 0
	for _, name := range names {
		place, ok := places[name]
		if !ok {
			return fmt.Sprintf("%s has no place", name)
		}
		if place < at {
			return fmt.Sprintf("%s comes after what it should come before", name)
		}
		at = place
	}
	return ""
}

// order are the places of all files in the order, and of the folders that are exchanged.
func order(l ledger.Ledger, r Repository) map[string]int {
	places := map[string]int{}
	for i, group := range layout.Order(l, r.keys()) {
		for _, name := range group {
			places[name] = i
			if strings.HasSuffix(name, "/repomd.xml") {
				places[path.Dir(name)] = i
			}
		}
	}
	return places
}
