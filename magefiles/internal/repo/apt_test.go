package repo

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/artifact"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/repo/apt"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/run"
)

// aptClient is apt with a state of its own, which trusts the given key.
type aptClient struct {
	testing.TB
	options []string
	dir     string // where it downloads to
}

func newAptClient(t testing.TB, url string, k pair) aptClient {
	t.Helper()
	root := t.TempDir()
	keyring := filepath.Join(root, "keyring.gpg")
	sources := filepath.Join(root, "spire.sources")
	must(t, artifact.WriteBytes(keyring, 0o644, k.public()))
	must(t, artifact.WriteBytes(sources, 0o644, fmt.Appendf(nil,
		"Types: deb deb-src\nURIs: %s/apt\nSuites: stable\nComponents: main\nArchitectures: amd64 arm64\nSigned-By: %s\n", url, keyring)))
	for _, dir := range []string{"lists/partial", "archives/partial", "down", "none"} {
		must(t, os.MkdirAll(filepath.Join(root, dir), 0o755))
	}
	must(t, os.WriteFile(filepath.Join(root, "status"), nil, 0o644))
	options := []string{
		"Dir::Etc::SourceList=" + sources, "Dir::Etc::SourceParts=" + root + "/none", "Dir::Etc::Preferences=" + root + "/absent", "Dir::Etc::PreferencesParts=" + root + "/none",
		"Dir::State::Lists=" + root + "/lists", "Dir::State::status=" + root + "/status", "Dir::Cache=" + root, "Dir::Cache::Archives=" + root + "/archives",
		"APT::Sandbox::User=root", "APT::Architecture=amd64", "APT::Architectures::=amd64", "APT::Architectures::=arm64",
		"Acquire::Languages=none", "APT::Update::Error-Mode=any", "Debug::NoLocking=1", "Acquire::Retries=0",
		// The tests live in a year of their own.
		"Acquire::Check-Date=false", "Acquire::Check-Valid-Until=false",
	}
	c := aptClient{TB: t, dir: filepath.Join(root, "down")}
	for _, option := range options {
		c.options = append(c.options, "-o", option)
	}
	return c
}

func (c aptClient) run(args ...string) (string, error) {
	return run.New(args[0], append(slices.Clone(c.options), args[1:]...)...).In(c.dir).WithEnv("LC_ALL=C.UTF-8").Combined(c.Context())
}

// must is what apt says where it has nothing to complain about.
func (c aptClient) must(args ...string) string {
	c.Helper()
	said, err := c.run(args...)
	if err != nil || strings.Contains(said, "W: ") || strings.Contains(said, "E: ") || strings.Contains(said, "N: ") {
		c.Fatalf("%s: %v\n%s", args, err, said)
	}
	return said
}

// serve serves a repository, and notes what is asked for.
func serve(t testing.TB, r Repository) (url string, asked func() []string) {
	t.Helper()
	var paths []string
	var mu sync.Mutex
	files := http.FileServer(http.Dir(r.Dir))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		paths = append(paths, r.URL.Path)
		mu.Unlock()
		files.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	return server.URL, func() []string { return paths }
}

// apt itself takes the repository, with all checks on.
func TestApt(t *testing.T) {
	needs(t, "apt-get", "apt-cache")
	r := newRepository(t)
	published := append(signed(t, "1.13.2", 1), keyring(t, "1.0.0")...)
	publish(t, r, day, published...)
	url, asked := serve(t, r)
	c := newAptClient(t, url, ours())
	c.must("apt-get", "update")
	if paths := strings.Join(asked(), "\n"); !strings.Contains(paths, "/apt/dists/stable/main/binary-arm64/by-hash/SHA256/") || strings.Contains(paths, "Packages") {
		t.Errorf("apt has not asked by hash, but for\n%s", paths)
	}
	published = append(published, signed(t, "1.13.3", 1)...)
	publish(t, r, days(1), published...)
	c.must("apt-get", "update")
	if said := c.must("apt-cache", "madison", "spire-agent"); !strings.Contains(said, "1.13.3-1") || !strings.Contains(said, "1.13.2-1") {
		t.Error(said)
	}
	if said := c.must("apt-cache", "policy", "spire-agent"); !strings.Contains(said, "Candidate: 1.13.3-1") {
		t.Error(said)
	}
	c.must("apt-get", "download", "spire-agent", "spire-server:arm64", "spire-archive-keyring", "spire-agent=1.13.2-1")
	c.must("apt-get", "source", "--download-only", "spire")
	for _, name := range []string{
		"spire-agent_1.13.3-1_amd64.deb", "spire-agent_1.13.2-1_amd64.deb", "spire-server_1.13.3-1_arm64.deb", "spire-archive-keyring_1.0.0-1_all.deb",
		"spire_1.13.3-1.dsc", "spire_1.13.3.orig.tar.xz", "spire_1.13.3.orig-vendor.tar.xz", "spire_1.13.3-1.debian.tar.xz",
	} {
		got, err := os.ReadFile(filepath.Join(c.dir, name))
		must(t, err)
		want, err := os.ReadFile(named(t, published, name))
		must(t, err)
		if !bytes.Equal(got, want) {
			t.Errorf("apt got another %s", name)
		}
	}
}

// A client that has the older InRelease still finds what that names.
func TestAptInTheMiddle(t *testing.T) {
	needs(t, "apt-get")
	r := newRepository(t)
	publish(t, r, day, signed(t, "1.13.2", 1)...)
	next := signed(t, "1.13.3", 1)
	served, published := make(chan bool), make(chan bool)
	go func() {
		<-served
		if _, err := r.Publish(t.Context(), Publication{Files: next, Now: days(1), Pages: pages}); err != nil {
			t.Error(err)
		}
		close(published)
	}()
	files := http.FileServer(http.Dir(r.Dir))
	var once sync.Once
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		files.ServeHTTP(w, req)
		if strings.HasSuffix(req.URL.Path, "/InRelease") {
			once.Do(func() { close(served) })
			<-published
		}
	}))
	t.Cleanup(server.Close)
	c := newAptClient(t, server.URL, ours())
	c.must("apt-get", "update")
	c.must("apt-get", "download", "spire-agent=1.13.2-1")
	c.must("apt-get", "update")
	c.must("apt-get", "download", "spire-agent=1.13.3-1")
}

// Another key's repository is refused: apt has really looked.
func TestAptOtherKey(t *testing.T) {
	needs(t, "apt-get")
	r := newRepository(t)
	publish(t, r, day, signed(t, "1.13.2", 1)...)
	url, _ := serve(t, r)
	if said, err := newAptClient(t, url, newKey(t)).run("apt-get", "update"); err == nil || !strings.Contains(said, "is not signed") {
		t.Errorf("%v\n%s", err, said)
	}
}

// Release and its detached signature are for those who check by hand.
func TestReleaseSignature(t *testing.T) {
	needs(t, "gpgv", "apt-ftparchive")
	r := newRepository(t)
	publish(t, r, day, signed(t, "1.13.2", 1)...)
	keyring := r.path("spire-archive-keyring.gpg")
	for _, files := range [][]string{
		{dists + "/Release.gpg", dists + "/Release"}, {apt.InRelease},
		{"rpm/source/repodata/repomd.xml.asc", "rpm/source/repodata/repomd.xml"}, {"ledger.json.asc", "ledger.json"},
	} {
		args := []string{"--keyring", keyring}
		for _, file := range files {
			args = append(args, r.path(file))
		}
		if said, err := run.New("gpgv", args...).Combined(t.Context()); err != nil {
			t.Errorf("%v\n%s", err, said)
		}
	}
	// apt-ftparchive counts the same files, and gets the same digests of them.
	said, err := run.New("apt-ftparchive", "--no-md5", "--no-sha1", "--no-sha512", "release", ".").In(r.path(dists)).Output(t.Context())
	must(t, err)
	release, err := os.ReadFile(r.path(dists + "/Release"))
	must(t, err)
	for _, line := range listLine.FindAllString(string(release), -1) {
		if !slices.Equal(strings.Fields(line), strings.Fields(lineOf(said, strings.Fields(line)[2]))) {
			t.Errorf("%q is not what apt-ftparchive says:\n%s", line, said)
		}
	}
}

func lineOf(release, name string) string {
	for _, line := range listLine.FindAllStringSubmatch(release, -1) {
		if line[3] == name {
			return line[0]
		}
	}
	return ""
}
