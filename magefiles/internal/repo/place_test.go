package repo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp"
	"github.com/google/go-cmp/cmp"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/repo/store"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/repo/store/s3test"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/run"
)

// placed is a store of files that are here, in dir.
func placed(t testing.TB, address string) store.Store {
	t.Helper()
	found, err := store.Open(address, store.Access{}, once, io.Discard)
	must(t, err)
	return found
}

// brought has a place get one publication after the other, of a tree that retires and
// deletes files, the last of them from a machine that begins with nothing.
func brought(t *testing.T, to store.Store, dir string) {
	t.Helper()
	r, there := newRepository(t), newRepository(t)
	there.Dir = dir
	publish(t, r, day, append(small(t, "1.12.0"), keyring(t, "2026.03.01")...)...)
	bring(t, r, to)
	for i, files := range [][]string{small(t, "1.13.0"), nil, small(t, "1.14.1")} {
		publish(t, r, days(100*(i+1)), files...)
		bring(t, r, to)
		if diff := cmp.Diff(contents(t, r), contents(t, there)); diff != "" {
			t.Errorf("publication %d: the tree, then the place:\n%s", i, diff)
		}
	}
	if report := bring(t, r, to); !report.Unchanged {
		t.Errorf("again: %+v", report)
	}
	if _, err := publisher(r).Publish(t.Context(), placed(t, r.Dir)); err == nil || !strings.Contains(err.Error(), "that is the tree itself") {
		t.Errorf("to itself: %v", err)
	}
	part := newRepository(t)
	_, err := part.FetchFrom(t.Context(), to, false)
	must(t, err)
	publish(t, part, days(301), small(t, "1.14.2")...)
	bring(t, part, to)
	if _, err := publisher(r).Publish(t.Context(), to); err == nil || !strings.Contains(err.Error(), "run repo:sync again") {
		t.Errorf("an older tree: %v", err)
	}
	debs, rpms := readerOf(t, there).all()
	if !slices.Contains(debs, "spire-agent_1.14.2-1_amd64.deb") || !slices.Contains(rpms, "spire-agent-1.14.1-1.x86_64.rpm") {
		t.Errorf("clients find %q %q", debs, rpms)
	}
}

func TestBroughtToFolder(t *testing.T) {
	needs(t)
	dir := filepath.Join(t.TempDir(), "www", "repo")
	brought(t, placed(t, dir), dir)
}

// In a folder the pair of repomd.xml and its signature is exchanged at once: it never parts.
func TestBroughtToFolderMeanwhile(t *testing.T) {
	long(t)
	dir := filepath.Join(t.TempDir(), "www", "repo")
	to, r := placed(t, dir), newRepository(t)
	publish(t, r, day, small(t, "1.13.0")...)
	bring(t, r, to)
	there := r
	there.Dir = dir
	stop, done := make(chan struct{}), make(chan int)
	go func() {
		read := 0
		for {
			select {
			case <-stop:
				done <- read
				return
			default:
			}
			folder, err := os.Open(there.path("rpm/x86_64/repodata")) // both of the folder that is there now
			if err != nil {
				continue
			}
			at := fmt.Sprintf("/proc/self/fd/%d/", folder.Fd())
			repomd, err1 := os.ReadFile(at + "repomd.xml")
			signature, err2 := os.ReadFile(at + "repomd.xml.asc")
			if err1 == nil && err2 == nil && there.Trusted.Detached(bytes.NewReader(repomd), signature) != nil {
				t.Error("repomd.xml and its signature are parted")
			}
			read++
			folder.Close()
		}
	}()
	for i := range 5 {
		publish(t, r, days(i+1), small(t, fmt.Sprintf("1.13.%d", i+1))...)
		bring(t, r, to)
	}
	close(stop)
	if read := <-done; read < 10 {
		t.Errorf("it was read %d times", read)
	}
}

// rsync is a daemon with one module, which is dir.
func rsync(t *testing.T, dir string) (address string) {
	t.Helper()
	needs(t, "rsync")
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	_, port, err := net.SplitHostPort(listener.Addr().String())
	must(t, err)
	must(t, listener.Close())
	must(t, os.MkdirAll(dir, 0o755))
	config := filepath.Join(t.TempDir(), "rsyncd.conf")
	text := "use chroot = no\nreverse lookup = no\naddress = 127.0.0.1\n[www]\npath = " + dir + "\nread only = no\nnumeric ids = yes\n"
	if os.Getuid() == 0 {
		text += "uid = 0\ngid = 0\n"
	}
	must(t, os.WriteFile(config, []byte(text), 0o600))
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = run.New("rsync", "--daemon", "--no-detach", "--port="+port, "--config="+config).Run(ctx)
	}()
	t.Cleanup(func() {
		cancel()
		<-ended
	})
	for range 100 {
		if conn, err := net.DialTimeout("tcp", "127.0.0.1:"+port, time.Second); err == nil {
			must(t, conn.Close())
			break
		}
		time.Sleep(50 * time.Millisecond)
	}
	return "rsync://127.0.0.1:" + port + "/www"
}

func TestBroughtByRsync(t *testing.T) {
	long(t)
	dir := filepath.Join(t.TempDir(), "www")
	brought(t, placed(t, rsync(t, dir)), dir)
}

// Addresses that are none say what is one.
func TestPlaces(t *testing.T) {
	for address, want := range map[string]string{
		"s3://":                   "is not of the form s3://BUCKET/PREFIX",
		"s3://key:word@bucket/x":  "is not of the form s3://BUCKET/PREFIX",
		"ftp://host/x":            "is none of s3://BUCKET/PREFIX",
		"s3://bucket/with/nobody": "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
	} {
		if _, err := store.Open(address, store.Access{}, once, io.Discard); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", address, err)
		}
	}
	for _, endpoint := range []string{"http://s3.example.org", "s3.example.org", "https://s3.example.org/path"} {
		if _, err := store.Open("s3://bucket", store.Access{Endpoint: endpoint, KeyID: "x", Secret: "x"}, once, io.Discard); err == nil {
			t.Errorf("%s: no error", endpoint)
		}
	}
}

// realVariable has the tests below use a real service of object storage.
const realVariable = "SPIRE_TEST_S3"

func gateway(t testing.TB) *s3test.Gateway {
	t.Helper()
	needs(t)
	if os.Getenv(realVariable) == "" {
		t.Skipf("a real service of object storage (%s) takes minutes to compile the first time: set %s=1, or run test:store", s3test.Versitygw, realVariable)
	}
	ctx, stop := context.WithCancel(context.Background())
	t.Cleanup(stop)
	g, err := s3test.Start(ctx, filepath.Join(t.TempDir(), "gateway"))
	if err != nil {
		t.Skipf("%s cannot be had: %v", s3test.Versitygw, err)
	}
	return g
}

// The same with a real service.
func TestBroughtReally(t *testing.T) {
	g := gateway(t)
	brought(t, bucket(t, s3test.NewFront(t, s3test.At(t, g.URL)), once, io.Discard), filepath.Join(g.Dir, "spire"))
	if text, err := g.Public(t.Context(), "spire/apt/dists/stable/InRelease"); err != nil || !strings.HasPrefix(text, "-----BEGIN PGP") {
		t.Errorf("everybody gets %q, %v", text, err)
	}
}

// The same, cut off after some requests, each time below a prefix of its own.
func TestBroughtCutOffReally(t *testing.T) {
	g := gateway(t)
	s := newStage(t)
	for _, n := range points(s.asks, 6) {
		front := s3test.NewFront(t, s3test.At(t, g.URL))
		place := fmt.Sprintf("s3://%s/%d", s3test.Bucket, n)
		to, err := store.Open(place, store.Access{Endpoint: front.URL, KeyID: s3test.KeyID, Secret: s3test.Secret}, once, io.Discard)
		must(t, err)
		bring(t, s.before, to)
		there := s.before
		there.Dir = filepath.Join(g.Dir, fmt.Sprint(n))
		front.Cut(n)
		if _, err := publisher(s.after).Publish(t.Context(), to); err == nil {
			t.Fatalf("it was not cut off after %d requests", n)
		}
		if len(mixed(t, there)) == 0 {
			s.check(t, there)
		}
		front.Cut(-1)
		front.Fail(faulty(func(w http.ResponseWriter, r *http.Request, _ http.Handler) bool { // and it has a bad day
			_, _ = io.CopyN(io.Discard, r.Body, r.ContentLength/2)
			w.WriteHeader(http.StatusServiceUnavailable)
			return true
		}))
		patient, err := store.Open(place, store.Access{Endpoint: front.URL, KeyID: s3test.KeyID, Secret: s3test.Secret}, hurried, io.Discard)
		must(t, err)
		bring(t, s.after, patient)
		if diff := cmp.Diff(contents(t, s.after), contents(t, there)); diff != "" {
			t.Errorf("after %d requests: the tree, then the store:\n%s", n, diff)
		}
	}
}

// A publisher is killed for good, at some of its requests.
func TestPublisherKilled(t *testing.T) {
	long(t)
	s := newStage(t)
	secret := secretFile(t)
	for _, n := range points(s.asks, 9) {
		memory := s.memory.Clone()
		front := s3test.NewFront(t, memory)
		left := n
		lock := make(chan struct{}, 1)
		front.Fail(func(_ http.ResponseWriter, r *http.Request, _ http.Handler) bool {
			lock <- struct{}{}
			defer func() { <-lock }()
			if left--; left >= 0 {
				return false
			}
			killPublisher(t, secret)
			panic(http.ErrAbortHandler)
		})
		command := run.New("/proc/self/exe").WithEnv(bringVariable + "=" + strings.Join([]string{s.after.Dir, secret, front.URL}, "\n"))
		if err := command.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "signal: killed") {
			t.Fatalf("it was not killed at request %d: %v", n, err)
		}
		if now := served(t, memory, s.before); len(mixed(t, now)) == 0 {
			s.check(t, now)
		}
		front.Fail(nil)
		bring(t, s.after, bucket(t, front, once, io.Discard))
		same(t, memory, s.after)
	}
}

// bringVariable makes this test program a publisher: folder, key file, endpoint.
const bringVariable = "SPIRE_REPO_BRING"

// publisherSuffix ends the name of the file, beside that of the key, with the process that
// publishes.
const publisherSuffix = ".publisher"

func bringAndDie(args []string) {
	file, err := os.Open(args[1])
	if err != nil {
		panic(err)
	}
	ring, err := openpgp.ReadKeyRing(file)
	if err != nil {
		panic(err)
	}
	to, err := store.Open(archived, store.Access{Endpoint: args[2], KeyID: s3test.KeyID, Secret: s3test.Secret}, once, io.Discard)
	if err != nil {
		panic(err)
	}
	if err := os.WriteFile(args[1]+publisherSuffix, []byte(strconv.Itoa(os.Getpid())), 0o644); err != nil {
		panic(err)
	}
	_, err = publisher(repositoryIn(args[0], pair{ring[0]})).Publish(context.Background(), to)
	panic(fmt.Sprint("still alive: ", err))
}

// killPublisher kills the program that publishes with the key of a file.
func killPublisher(t *testing.T, secret string) {
	content, err := os.ReadFile(secret + publisherSuffix)
	must(t, err)
	pid, err := strconv.Atoi(string(content))
	must(t, err)
	if err := syscall.Kill(pid, syscall.SIGKILL); !errors.Is(err, syscall.ESRCH) { // another of its requests has had it killed
		must(t, err)
	}
}

// Publishing 10 and 5,000 packages to a real service, and then one version more.
func BenchmarkBring10(b *testing.B)   { benchmarkBring(b, 10) }
func BenchmarkBring5000(b *testing.B) { benchmarkBring(b, 5000) }

// packageSize is how large each of the ten packages is that the benchmarks add: together
// they have what a real version has.
const packageSize = 28 << 20

func benchmarkBring(b *testing.B, packages int) {
	g := gateway(b)
	front := s3test.NewFront(b, s3test.At(b, g.URL))
	to := bucket(b, front, once, io.Discard)
	r := parted(b)
	figures := func(what string, begun time.Time) {
		requests := front.Forget()
		var size, packages int64
		for _, request := range requests {
			size += request.Bytes
			if ext := path.Ext(request.Key); ext == ".deb" || ext == ".rpm" {
				packages += request.Bytes
			}
		}
		b.ReportMetric(float64(size-packages)/1e6, what+"-index-MB")
		b.ReportMetric(float64(len(requests)), what+"-requests")
		b.ReportMetric(float64(size)/1e6, what+"-MB")
		b.ReportMetric(time.Since(begun).Seconds(), what+"-s")
	}
	for b.Loop() {
		var files []string
		for i := range max(1, packages/50) {
			files = append(files, set(b, fmt.Sprintf("1.%d.%d", 13+i%2, i), min(packages, 50))...)
		}
		publish(b, r, day, files...)
		begun := time.Now()
		bring(b, r, to)
		figures("first", begun)
		fresh := parted(b)
		begun = time.Now()
		_, err := fresh.FetchFrom(b.Context(), to, false)
		must(b, err)
		figures("fetch", begun)
		begun = time.Now()
		publish(b, fresh, days(1), large(b, "1.15.0", 10)...)
		b.ReportMetric(time.Since(begun).Seconds(), "build-s")
		begun = time.Now()
		bring(b, fresh, to)
		figures("add", begun)
	}
}

// large are packages as large as real ones.
func large(b *testing.B, version string, packages int) []string {
	b.Helper()
	f := &folder{TB: b, dir: b.TempDir()}
	for i := range packages {
		pkg := part(i)
		f.add(pkg+"_"+version+"-1_amd64.deb", makeDebOf(b, pkg, version+"-1", "amd64", "spire", strings.Repeat(pkg, packageSize/len(pkg))))
	}
	return f.sums()
}
