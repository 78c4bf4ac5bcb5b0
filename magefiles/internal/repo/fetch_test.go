package repo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/repo/host"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/repo/layout"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/repo/ledger"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/repo/mirror"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/repo/store/s3test"
)

// hurried waits for nobody.
var hurried = host.Patience{Attempts: 3, Pause: time.Millisecond, Longest: 10 * time.Millisecond, Stall: time.Second}

// fault answers instead of the content.
type fault func(w http.ResponseWriter, r *http.Request, content []byte)

// site is a web host with a published tree.
type site struct {
	testing.TB
	tree Repository
	url  string

	mu    sync.Mutex
	fault fault    // nil for none
	asked []string // paths
}

// newSite has a tree in which something is offered, and something retired whose
// files stay.
func newSite(t *testing.T) *site {
	t.Helper()
	s := &site{TB: t, tree: newRepository(t)}
	publish(t, s.tree, day, small(t, "1.11.0")...)
	publish(t, s.tree, days(1), append(small(t, "1.12.0"), keyring(t, "2026.03.01")...)...)
	publish(t, s.tree, days(200), small(t, "1.13.0")...)
	publish(t, s.tree, days(201), small(t, "1.13.1")...)
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	s.url = server.URL
	return s
}

func (s *site) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	s.asked = append(s.asked, strings.TrimPrefix(r.URL.Path, "/"))
	fault := s.fault
	s.mu.Unlock()
	content, err := os.ReadFile(s.tree.path(r.URL.Path))
	switch {
	case err != nil:
		http.NotFound(w, r)
	case fault == nil:
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(content))
	default:
		fault(w, r, content)
	}
}

// fail has a fault done to all that is asked for from now on; nil for none.
func (s *site) fail(fault fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fault = fault
}

// forget begins the list of what was asked for anew.
func (s *site) forget() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	asked := s.asked
	s.asked = nil
	return asked
}

// same wants that a folder has what is published, to the last byte and time.
func (s *site) same(r Repository) {
	s.Helper()
	if diff := difference(snapshot(s, s.tree.Dir), snapshot(s, r.Dir)); diff != "" {
		s.Errorf("published, then fetched:\n%s", diff)
	}
}

// mirrorOf is a repository's mirror, in a hurry.
func mirrorOf(r Repository) mirror.Mirror {
	m := r.mirror()
	m.Patience = hurried
	return m
}

func fetch(ctx context.Context, r Repository, address string, first bool, p host.Patience) (ledger.Ledger, error) {
	m := r.mirror()
	m.Patience = p
	return m.Fetch(ctx, address, first)
}

// fetch wants it to go well.
func (s *site) fetch(r Repository) ledger.Ledger {
	s.Helper()
	l, err := fetch(s.Context(), r, s.url, false, hurried)
	must(s, err)
	return l
}

// An archive of former days had fewer architectures: the next publication brings the new
// ones, whether it begins with its address or with its store.
func TestFewerArchitectures(t *testing.T) {
	needs(t)
	const folder = "rpm/s390x"
	whole := newRepository(t)
	publish(t, whole, day, small(t, "1.13.0")...)
	l, err := ledger.Load(whole.Dir, whole.Trusted)
	must(t, err)
	for _, name := range layout.Reads(l) {
		if strings.HasPrefix(name, folder) {
			t.Errorf("the next publication counts on %s, which lists nothing", name)
		}
	}
	memory := s3test.NewMemory()
	to := bucket(t, s3test.NewFront(t, memory), once, io.Discard)
	bring(t, whole, to)
	for key := range memory.Objects() {
		if strings.Contains(key, folder+"/repodata/repomd") {
			memory.Delete(key)
		}
	}
	must(t, os.RemoveAll(whole.path(folder)))
	server := httptest.NewServer(http.FileServer(http.Dir(whole.Dir)))
	defer server.Close()
	r := newRepository(t)
	_, err = fetch(t.Context(), r, server.URL, false, hurried)
	must(t, err)
	publish(t, r, days(1), small(t, "1.13.1")...)
	if names := readerOf(t, r).rpm(folder); len(names) != 0 {
		t.Errorf("its new folder lists %q", names)
	}
	stored := newRepository(t)
	_, err = stored.FetchFrom(t.Context(), to, false)
	must(t, err)
	publish(t, stored, days(1), small(t, "1.13.1")...)
	bring(t, stored, to)
	readerOf(t, served(t, memory, stored)).rpm(folder)
	must(t, os.RemoveAll(whole.path("rpm/x86_64/repodata/repomd.xml")))
	if _, err := fetch(t.Context(), newRepository(t), server.URL, false, hurried); err == nil || !strings.Contains(err.Error(), "answered 404 Not Found for rpm/x86_64/repodata/repomd.xml") {
		t.Errorf("without what lists something: %v", err)
	}
}

// An empty machine gets the tree, and goes on with it as the one that made it
// would have.
func TestFetch(t *testing.T) {
	needs(t)
	s := newSite(t)
	r := newRepository(t)
	var log locked
	r.Log = &log
	l := s.fetch(r)
	s.same(r)
	gone := slices.ContainsFunc(l.Tombstones, func(g ledger.Tombstone) bool { return l.Needed()[g.Path] })
	if !gone || !l.Published.Equal(days(201)) {
		t.Errorf("the ledger is of %s; something retired is there: %t", l.Published, gone)
	}
	if got := log.String(); !strings.Contains(got, "fetch ") || !strings.Contains(got, " MB: ") {
		t.Errorf("it says %q", got)
	}
	s.forget()
	s.fetch(r)
	if diff := cmp.Diff([]string{ledger.Name, ledger.Name + ".asc"}, s.forget()); diff != "" {
		t.Errorf("a second fetch asks for more:\n%s", diff)
	}
	later := small(t, "1.14.0")
	publish(t, r, ripe, later...)
	publish(t, s.tree, ripe, later...)
	s.same(r)
}

// Some files are fetched, of which the ledger tells the digests; there is no repository
// of them then.
func TestSample(t *testing.T) {
	needs(t)
	s := newSite(t)
	chosen := func(all []ledger.File) []ledger.File {
		return slices.DeleteFunc(all, func(f ledger.File) bool { return f.Kind != "deb" || f.Version != "1.13.0" })
	}
	r := newRepository(t)
	files, err := mirrorOf(r).Sample(t.Context(), s.url, chosen)
	if err != nil || len(files) == 0 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	there := snapshot(t, r.Dir)
	for _, f := range files {
		want, err := os.ReadFile(s.tree.path(f.Path))
		must(t, err)
		got, err := os.ReadFile(r.path(f.Path))
		must(t, err)
		if !bytes.Equal(got, want) {
			t.Errorf("%s is not what is published", f.Path)
		}
		delete(there, f.Path)
	}
	for name := range there {
		if strings.Contains(path.Base(name), ".deb") || strings.HasPrefix(path.Base(name), "ledger") {
			t.Errorf("there is also %s", name)
		}
	}
	if _, err := mirrorOf(r).Sample(t.Context(), s.url+"/nothing", chosen); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("where nothing is published: %v", err)
	}
	s.fail(func(w http.ResponseWriter, r *http.Request, content []byte) {
		if strings.HasSuffix(r.URL.Path, ".deb") {
			content = append([]byte("x"), content[1:]...)
		}
		_, _ = w.Write(content)
	})
	r = newRepository(t)
	if _, err := mirrorOf(r).Sample(t.Context(), s.url, chosen); err == nil || !strings.Contains(err.Error(), "with the SHA-256 ") {
		t.Errorf("another deb: %v", err)
	}
	s.fail(changed(func(content []byte) []byte { return append([]byte("x"), content...) }))
	if _, err := mirrorOf(r).Sample(t.Context(), s.url, chosen); err == nil || !strings.Contains(err.Error(), "a trusted key has signed") {
		t.Errorf("another ledger: %v", err)
	}
}

// locked is a log that several goroutines write.
type locked struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *locked) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

func (l *locked) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// A fetch is stopped anywhere, in an empty folder and in one with an older tree:
// the folder is then no repository, or the older one, and the next fetch ends in
// what is published, without the files that have come before.
func TestFetchStopped(t *testing.T) {
	needs(t)
	s := newSite(t)
	older := newRepository(t)
	publish(t, older, days(2), append(small(t, "1.12.0"), small(t, "1.10.0")...)...)
	before, err := ledger.Load(older.Dir, older.Trusted)
	must(t, err)
	for name, start := range map[string]func(*testing.T) Repository{
		"empty": func(t *testing.T) Repository { return newRepository(t) },
		"older": func(t *testing.T) Repository { return twin(t, older) },
	} {
		unstopped := start(t)
		s.forget()
		s.fetch(unstopped)
		whole := len(s.forget())
		for n := 0; ; n += 11 {
			r := start(t)
			left := int64(n)
			r.after = func(string) error {
				if atomic.AddInt64(&left, -1) < 0 {
					return errStopped
				}
				return nil
			}
			_, err := fetch(t.Context(), r, s.url, false, hurried)
			if err == nil {
				if n < 50 {
					t.Fatalf("%s: there were only %d changes", name, n)
				}
				break
			}
			if !errors.Is(err, errStopped) {
				t.Fatal(err)
			}
			l, err := ledger.Load(r.Dir, r.Trusted)
			isOlder := name == "older" && err == nil && l.Published.Equal(before.Published)
			isDone := err == nil && l.Published.Equal(days(201))
			if isDone {
				s.same(r)
			}
			if !isOlder && !isDone && !errors.Is(err, os.ErrNotExist) {
				t.Fatalf("%s, stopped after %d: the ledger is of %s, %v", name, n, l.Published, err)
			}
			s.forget()
			r.after = nil
			s.fetch(r)
			// By then some files were whole, however many were on their way.
			if again := len(s.forget()); n > 40 && again >= whole {
				t.Errorf("%s, stopped after %d: %d files were asked for, as many as the %d of a fetch from the beginning", name, n, again, whole)
			}
			s.same(r)
		}
	}
}

// cut sends half of what was asked for, and ends the connection.
func cut(w http.ResponseWriter, _ *http.Request, content []byte) {
	w.Header().Set("Content-Length", strconv.Itoa(len(content)))
	_, _ = w.Write(content[:len(content)/2])
	panic(http.ErrAbortHandler)
}

// changed sends something else.
func changed(change func([]byte) []byte) fault {
	return func(w http.ResponseWriter, _ *http.Request, content []byte) {
		_, _ = w.Write(change(content))
	}
}

func status(code int) fault {
	return func(w http.ResponseWriter, _ *http.Request, _ []byte) {
		w.Header().Set("Retry-After", "3600") // longer than anybody waits
		http.Error(w, http.StatusText(code), code)
	}
}

func slow(pause time.Duration) fault {
	return func(w http.ResponseWriter, r *http.Request, content []byte) {
		for part := range 5 {
			select {
			case <-time.After(pause):
			case <-r.Context().Done():
				return
			}
			_, _ = w.Write(content[len(content)*part/5 : len(content)*(part+1)/5])
			_ = http.NewResponseController(w).Flush()
		}
	}
}

// A host that limps is got over; one that gives something else is not believed,
// and then the folder is no repository.
func TestFetchFaults(t *testing.T) {
	needs(t)
	s := newSite(t)
	l, err := ledger.Load(s.tree.Dir, s.tree.Trusted)
	must(t, err)
	deb := l.Find("spire-agent_1.13.1-1_amd64.deb")[0]
	flip := changed(func(b []byte) []byte {
		if len(b) == 0 { // some indexes are
			return []byte("x")
		}
		b[len(b)/2] ^= 1
		return b
	})
	html := changed(func([]byte) []byte { return []byte("<html>Under maintenance</html>") })
	for name, c := range map[string]struct {
		match string // in the path
		times int    // 0 for all
		fault fault
		want  []string // of the error; none if it goes well
	}{
		"every file cut once":    {"", 1, cut, nil},
		"every file slow":        {"", 0, slow(5 * time.Millisecond), nil},
		"every file 500 twice":   {"", 2, status(500), nil},
		"every file 429 once":    {"", 1, status(429), nil},
		"every file hangs once":  {"pool", 1, slow(time.Minute), nil},
		"a changed byte, once":   {deb.Path, 1, flip, nil},
		"a deb cut":              {deb.Path, 0, cut, []string{"fetching " + deb.Path, ": after ", "unexpected EOF"}},
		"a deb that hangs":       {deb.Path, 0, slow(time.Minute), []string{deb.Path, "sends nothing any more"}},
		"a changed byte":         {deb.Path, 0, flip, []string{deb.Path, "and " + deb.SHA256 + " was published"}},
		"a shorter deb":          {deb.Path, 0, changed(func(b []byte) []byte { return b[:9] }), []string{"it has 9 bytes with the SHA-256"}},
		"a longer deb":           {deb.Path, 0, changed(func(b []byte) []byte { return append(b, b...) }), []string{fmt.Sprintf("it has more than %d bytes", deb.Size)}},
		"no deb":                 {deb.Path, 0, status(404), []string{"answered 404 Not Found for " + deb.Path}},
		"a changed record":       {deb.Record, 0, flip, []string{deb.Record + " was published"}},
		"no record":              {deb.Record, 0, status(404), []string{"answered 404"}},
		"a changed index":        {"by-hash", 0, flip, []string{"by-hash", "was published"}},
		"an index never written": {"-other.xml.gz", 0, status(404), nil},
		"no InRelease":           {"/InRelease", 0, status(404), []string{"answered 404 Not Found for apt/dists/stable/InRelease"}},
		"a key that is new":      {"keyring.gpg", 0, status(404), nil},
		"403":                    {"", 0, status(403), []string{"answered 403 Forbidden for ledger.json"}},
		"500 for ever":           {"", 0, status(500), []string{"answered 500"}},
		"no ledger":              {ledger.Name, 0, status(404), []string{"answered 404 Not Found for ledger.json", "-first"}},
		"no signature":           {ledger.Name + ".asc", 0, status(404), []string{"not a ledger that a trusted key has signed", "answered 404"}},
		"a page of the host":     {"", 0, html, []string{"not a ledger that a trusted key has signed"}},
		"a changed ledger":       {ledger.Name, 0, flip, []string{"not a ledger that a trusted key has signed"}},
		"a ledger cut":           {ledger.Name, 0, cut, []string{"fetching ledger.json", "unexpected EOF"}},
	} {
		t.Run(name, func(t *testing.T) {
			times := map[string]int{}
			var mu sync.Mutex
			s.TB = t
			s.fail(func(w http.ResponseWriter, r *http.Request, content []byte) {
				mu.Lock()
				times[r.URL.Path]++
				now := strings.Contains(r.URL.Path, c.match) && (c.times == 0 || times[r.URL.Path] <= c.times)
				mu.Unlock()
				if now {
					c.fault(w, r, content)
				} else {
					_, _ = w.Write(content)
				}
			})
			r := newRepository(t)
			_, err := fetch(t.Context(), r, s.url, false, hurried)
			for _, want := range c.want {
				if err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("the error lacks %q: %v", want, err)
				}
			}
			if len(c.want) == 0 {
				must(t, err)
				if c.times > 0 || name == "every file slow" {
					s.same(r)
				}
				return
			}
			for _, name := range []string{ledger.Name, deb.Path} {
				if _, err := os.Lstat(r.path(name)); err == nil && (name == ledger.Name || c.match == deb.Path) {
					t.Errorf("there is %s", name)
				}
			}
			for name := range snapshot(t, r.Dir) {
				if strings.Contains(name, ".tmp-") {
					t.Errorf("there is %s", name)
				}
			}
		})
	}
}

// The first publication is said to be it, and only that one.
func TestFetchFirst(t *testing.T) {
	needs(t)
	s := newSite(t)
	r := newRepository(t)
	if _, err := fetch(t.Context(), r, s.url, true, hurried); err == nil || !strings.Contains(err.Error(), "leave out -first") {
		t.Errorf("there is one: %v", err)
	}
	for _, code := range []int{500, 403} {
		s.fail(status(code))
		if _, err := fetch(t.Context(), r, s.url, true, hurried); err == nil || !strings.Contains(err.Error(), strconv.Itoa(code)) {
			t.Errorf("%d: %v", code, err)
		}
	}
	s.fail(status(404))
	for _, files := range [][]string{small(t, "1.13.0"), nil} { // a second time, before anybody has brought it there
		if _, err := fetch(t.Context(), r, s.url, true, hurried); err != nil {
			t.Error(err)
		}
		if report := publish(t, r, day, files...); report.Unchanged != (files == nil) {
			t.Errorf("%+v", report)
		}
	}
}

// publishLedger puts a ledger of somebody in the place of the published one.
func (s *site) publishLedger(l ledger.Ledger, by pair) {
	s.Helper()
	content := ledger.Encode(l)
	signature, err := by.Detached(s.Context(), bytes.NewReader(content))
	must(s, err)
	must(s, ledger.Signed{Ledger: content, Signature: signature}.Put(s.tree.tree(time.Now())))
}

// What a ledger says is not done where it leads out of the tree, even if it is
// signed; and not believed where it is signed by others.
func TestFetchLedgers(t *testing.T) {
	needs(t)
	good := newSite(t)
	for name, c := range map[string]struct {
		change func(*ledger.Ledger)
		by     pair
		want   string
	}{
		"a path upwards":    {func(l *ledger.Ledger) { l.Files[0].Path = "../../x" }, ours(), `"../../x" is no path`},
		"upwards from pool": {func(l *ledger.Ledger) { l.Files[0].Path = "apt/../../x" }, ours(), `"apt/../../x" is no path`},
		"an absolute path":  {func(l *ledger.Ledger) { l.Files[0].Path = "/etc/passwd" }, ours(), `"/etc/passwd" is no path`},
		"a hidden file":     {func(l *ledger.Ledger) { l.Files[0].Path = "apt/.git" }, ours(), `"apt/.git" is no path`},
		"another's folder":  {func(l *ledger.Ledger) { l.Files[0].Path = "CNAME/x" }, ours(), `"CNAME/x" is no path`},
		"a query":           {func(l *ledger.Ledger) { l.Files[0].Path = "apt/x?y" }, ours(), `"apt/x?y" is no path`},
		"a record upwards":  {func(l *ledger.Ledger) { l.Files[0].Record = "../../x" }, ours(), `"../x.json" is no path`},
		"gone upwards":      {func(l *ledger.Ledger) { l.Tombstones[0].Path, l.Tombstones[0].Until = "../x", days(300) }, ours(), `"../x" is no path`},
		"kept upwards":      {func(l *ledger.Ledger) { l.Kept[0].Path = "../x" }, ours(), `"../x" is no path`},
		"kept by no digest": {func(l *ledger.Ledger) { l.Kept[0].Path = "apt/x" }, ours(), "apt/x has no SHA-256"},
		"no digest":         {func(l *ledger.Ledger) { l.Files[0].SHA256 = "x" }, ours(), "has no SHA-256"},
		"a negative size":   {func(l *ledger.Ledger) { l.Files[0].Size = -2 }, ours(), "has -2 bytes"},
		"one place for two": {func(l *ledger.Ledger) { l.Files[0].Path = l.Files[1].Path }, ours(), "is there twice"},
		"another's":         {func(*ledger.Ledger) {}, newKey(t), "not a ledger that a trusted key has signed"},
	} {
		t.Run(name, func(t *testing.T) {
			s := &site{TB: t, tree: twin(t, good.tree)}
			server := httptest.NewServer(s)
			defer server.Close()
			s.url = server.URL
			l, err := ledger.Load(s.tree.Dir, s.tree.Trusted)
			must(t, err)
			c.change(&l)
			s.publishLedger(l, c.by)
			r := newRepository(t)
			_, err = fetch(t.Context(), r, s.url, false, hurried)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("the error lacks %q: %v", c.want, err)
			}
			if got := snapshot(t, r.Dir); len(got) > 0 {
				t.Errorf("something was written: %v", got)
			}
			for _, asked := range s.forget() {
				if !strings.HasPrefix(asked, ledger.Name) {
					t.Errorf("it asked for %s", asked)
				}
			}
		})
	}
}

// What is in the folder stays if it has all that is published, and is replaced if
// it is older.
func TestFetchInto(t *testing.T) {
	needs(t)
	s := newSite(t)
	other := newRepository(t)
	publish(t, other, days(202), small(t, "1.13.0")...)
	newer := twin(t, s.tree)
	publish(t, newer, days(202), small(t, "1.14.0")...)
	pending := twin(t, s.tree)
	pending.after = stop(15)
	if _, err := pending.Publish(t.Context(), Publication{Files: small(t, "1.14.0"), Now: days(202), Pages: pages}); !errors.Is(err, errStopped) {
		t.Fatal(err)
	}
	pending.after = nil
	older := newRepository(t)
	publish(t, older, days(5), small(t, "1.12.0")...)
	older.after = stop(15)
	if _, err := older.Publish(t.Context(), Publication{Files: small(t, "1.12.1"), Now: days(6), Pages: pages}); !errors.Is(err, errStopped) {
		t.Fatal(err)
	}
	older.after = nil
	must(t, os.WriteFile(older.path("CNAME"), []byte("example.org"), 0o644))
	for _, r := range []Repository{newer, pending} {
		before := snapshot(t, r.Dir)
		s.fetch(r)
		if diff := difference(before, snapshot(t, r.Dir)); diff != "" {
			t.Errorf("a newer tree was changed:\n%s", diff)
		}
	}
	if report := publish(t, pending, days(202)); !report.Resumed {
		t.Errorf("what was cut off is not finished: %+v", report)
	}
	if _, err := fetch(t.Context(), other, s.url, false, hurried); err == nil || !strings.Contains(err.Error(), "the two have parted") {
		t.Errorf("a tree of others: %v", err)
	}
	if _, err := os.Stat(older.path(ledger.PendingName)); err != nil {
		t.Fatal(err)
	}
	s.fetch(older)
	if content, err := os.ReadFile(older.path("CNAME")); err != nil || string(content) != "example.org" {
		t.Errorf("CNAME is %q (%v)", content, err)
	}
	must(t, os.Remove(older.path("CNAME")))
	s.same(older)
	foreign := repositoryIn(filepath.Join(t.TempDir(), "repo"), newKey(t))
	publish(t, foreign, day, small(t, "1.12.0")...)
	foreign.Trusted = trust{ours()}
	if _, err := fetch(t.Context(), foreign, s.url, false, hurried); err == nil || !strings.Contains(err.Error(), "is not what was published") {
		t.Errorf("a tree of another key: %v", err)
	}
}

// A fetch ends when it is told to.
func TestFetchCancelled(t *testing.T) {
	needs(t)
	s := newSite(t)
	ctx, cancel := context.WithCancel(t.Context())
	s.fail(func(w http.ResponseWriter, r *http.Request, content []byte) {
		if strings.Contains(r.URL.Path, "pool") {
			cancel()
			<-r.Context().Done()
			return
		}
		_, _ = w.Write(content)
	})
	r := newRepository(t)
	if _, err := fetch(ctx, r, s.url, false, host.Usual); !errors.Is(err, context.Canceled) {
		t.Errorf("the error is %v", err)
	}
	s.fail(nil)
	s.fetch(r)
	s.same(r)
}

func TestFetchAddress(t *testing.T) {
	elsewhere := httptest.NewServer(http.RedirectHandler("http://192.0.2.1/ledger.json", http.StatusFound))
	defer elsewhere.Close()
	for address, want := range map[string]string{
		"":                       "is not the address of a repository",
		"http://example.org":     "neither https:// nor on 127.0.0.1",
		"ftp://example.org":      "neither https:// nor on 127.0.0.1",
		"https://":               "neither https:// nor on 127.0.0.1",
		"http://localhost:1\x00": "is not the address of a repository",
		"http://127.0.0.1:1":     "connection refused",
		elsewhere.URL:            "neither https:// nor on 127.0.0.1",
	} {
		r := repositoryIn(t.TempDir(), ours())
		r.Log = io.Discard
		if _, err := fetch(t.Context(), r, address, true, hurried); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: the error lacks %q: %v", address, want, err)
		}
	}
}
