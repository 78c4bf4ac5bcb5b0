package pipeline

import (
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/artifact"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/hub"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/hub/hubtest"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pipeline/pipelinetest"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pipeline/publication"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pkgdef"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/repo"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/repo/ledger"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/sign"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/tool"
)

const releasing = "spiffe-experimental/spire-packages"

// world is a GitHub with releases, and a web host that serves a folder.
type world struct {
	*testing.T
	github *hubtest.Server
	host   *httptest.Server
	served string // empty where nothing is
	signer *sign.Signer
	now    time.Time
	home   publication.Place // where the archive is kept, if not at the host alone
}

func newWorld(t *testing.T) *world {
	t.Helper()
	if err := tool.Need(repo.Tools()...); err != nil {
		t.Skip(err)
	}
	// A while ago, because a test that lets time pass must not come to sign in the
	// future, which no client takes.
	w := &world{T: t, github: hubtest.New(t), signer: pipelinetest.Someone(t, "ours"), now: time.Now().UTC().Truncate(time.Second).Add(-time.Minute)}
	w.github.Repository(releasing)
	w.host = httptest.NewServer(http.HandlerFunc(func(out http.ResponseWriter, r *http.Request) {
		content, err := os.ReadFile(filepath.Join(w.served, r.URL.Path))
		if w.served == "" || err != nil {
			http.NotFound(out, r)
			return
		}
		_, _ = out.Write(content)
	}))
	t.Cleanup(w.host.Close)
	return w
}

// signed is a signed folder of a version, with few files.
func (w *world) signed(version string, number int) string {
	w.Helper()
	source, err := pkgdef.LoadSource(real(w.T).Root, "spire")
	if err != nil {
		w.Fatal(err)
	}
	dir := w.TempDir()
	names := []string{fmt.Sprintf("spire_%s.orig.tar.xz", version), fmt.Sprintf("spire_%s-%d_amd64.buildinfo", version, number)}
	pipelinetest.State(w.T, source, source.Module, version, number, dir, names...)
	pipelinetest.Sum(w.T, w.signer, dir)
	return dir
}

// release puts a folder on GitHub, days ago.
func (w *world) release(release hubtest.Release, dir string, days int) int64 {
	w.Helper()
	release.Created = w.now.AddDate(0, 0, -days)
	id := w.github.AddRelease(releasing, release)
	files, err := artifact.Describe(dir)
	if err != nil {
		w.Fatal(err)
	}
	for _, file := range files {
		content, err := os.ReadFile(file.Path)
		if err != nil {
			w.Fatal(err)
		}
		w.github.AddAsset(releasing, id, hubtest.Asset{Name: file.Name()}, content)
	}
	return id
}

// sync runs on a machine, with a token that sees drafts.
func (w *world) sync(p Pipeline, first bool) (repo.Report, error) {
	w.Helper()
	w.github.Forget()
	from, err := hub.Open(hub.Settings{Token: hubtest.Token, API: w.github.API(), Server: w.github.URL(), Pause: time.Millisecond, Attempts: 2}, releasing)
	if err != nil {
		w.Fatal(err)
	}
	return p.Sync(w.Context(), Archive{URL: w.host.URL, Signer: w.signer, Now: w.now, Home: w.home}, from, first)
}

// synced wants it to go well, and gives the versions that were added.
func (w *world) synced(p Pipeline, first bool) []string {
	w.Helper()
	report, err := w.sync(p, first)
	if err != nil {
		w.Fatal(err)
	}
	var added []string
	for _, file := range report.Added {
		if file.Kind == ledger.Sums {
			added = append(added, fmt.Sprintf("%s-%d", file.Version, file.Release))
		}
	}
	if downloaded := w.github.Count("^GET /storage"); report.Unchanged != (len(added) == 0) || downloaded != 5*len(added) {
		w.Errorf("%d files were downloaded for %q; unchanged: %t", downloaded, added, report.Unchanged)
	}
	return added
}

// contents are the files of a tree.
func (w *world) contents(dir string) map[string]string {
	w.Helper()
	found := map[string]string{}
	err := fs.WalkDir(os.DirFS(dir), ".", func(name string, entry fs.DirEntry, err error) error {
		if err == nil && !entry.IsDir() {
			found[name], _, err = artifact.Digest(filepath.Join(dir, name))
		}
		return err
	})
	if err != nil {
		w.Fatal(err)
	}
	return found
}

// What is released is published, once: by the machine that comes first, whatever
// became of the one that released it.
func TestSync(t *testing.T) {
	w := newWorld(t)
	w.release(hubtest.Release{Tag: "v1.13.0-1"}, w.signed("1.13.0", 1), 200) // would be retired at once
	w.release(hubtest.Release{Tag: "v1.13.3-1"}, w.signed("1.13.3", 1), 100)
	w.release(hubtest.Release{Tag: "v1.12.2-1"}, w.signed("1.12.2", 1), 150)
	w.release(hubtest.Release{Tag: "v1.13.3-3", Draft: true}, w.signed("1.13.3", 3), 0)
	w.release(hubtest.Release{Tag: "tools-1.0"}, w.signed("1.13.3", 4), 0)
	first := real(t)
	if diff := cmp.Diff([]string{"1.12.2-1", "1.13.3-1"}, w.synced(first, true)); diff != "" {
		t.Errorf("the first publication (-want +got):\n%s", diff)
	}
	// It was killed before it could be brought to the host: the next run on the
	// same machine has nothing to do.
	if added := w.synced(first, true); added != nil {
		t.Errorf("again: %q", added)
	}
	w.served = first.RepositoryDir()
	second := real(t)
	if added := w.synced(second, false); added != nil {
		t.Errorf("on another machine: %q", added)
	}
	if diff := cmp.Diff(w.contents(w.served), w.contents(second.RepositoryDir())); diff != "" {
		t.Errorf("the tree on the other machine:\n%s", diff)
	}
	w.release(hubtest.Release{Tag: "v1.13.3-2"}, w.signed("1.13.3", 2), 0)
	w.now = w.now.Add(time.Second)
	third := real(t)
	if diff := cmp.Diff([]string{"1.13.3-2"}, w.synced(third, false)); diff != "" {
		t.Errorf("a second packaging (-want +got):\n%s", diff)
	}
	// A web host that was put back gets it again, the same.
	fourth := real(t)
	w.synced(fourth, false)
	if diff := cmp.Diff(w.contents(third.RepositoryDir()), w.contents(fourth.RepositoryDir())); diff != "" {
		t.Errorf("published anew from an older ledger:\n%s", diff)
	}
}

// Where the archive is kept in a store, an empty machine reads what it needs there, and what
// it brings there is what one that had all would have.
func TestSyncStore(t *testing.T) {
	w := newWorld(t)
	w.home.Address = filepath.Join(t.TempDir(), "www", "repo")
	w.served = w.home.Address
	bring := func(p Pipeline) {
		t.Helper()
		if _, err := p.Bring(t.Context(), w.home, p.RepositoryDir(), sign.NewKeyring(w.signer.Certificate()), false); err != nil {
			t.Fatal(err)
		}
	}
	w.release(hubtest.Release{Tag: "v1.13.3-1"}, w.signed("1.13.3", 1), 100)
	first := real(t)
	w.synced(first, true)
	bring(first)
	w.release(hubtest.Release{Tag: "v1.13.3-2"}, w.signed("1.13.3", 2), 0)
	w.now = w.now.Add(time.Second)
	part := real(t)
	if diff := cmp.Diff([]string{"1.13.3-2"}, w.synced(part, false)); diff != "" {
		t.Errorf("added (-want +got):\n%s", diff)
	}
	if _, err := os.Lstat(filepath.Join(part.RepositoryDir(), "files/1.13.3-1/SHA256SUMS")); !os.IsNotExist(err) {
		t.Errorf("what was published before was fetched (%v)", err)
	}
	bring(part)
	// What is served is a whole repository: whoever fetches all of it has no less.
	w.home.Address = ""
	whole := real(t)
	w.synced(whole, false)
	if l, err := ledger.Load(whole.RepositoryDir(), sign.NewKeyring(w.signer.Certificate())); err != nil || len(l.Files) == 0 {
		t.Errorf("%d files, %v", len(l.Files), err)
	}
}

// The packagings of one version that are due at once are all published.
func TestSyncPackagings(t *testing.T) {
	w := newWorld(t)
	for number := 1; number <= 2; number++ {
		w.release(hubtest.Release{Tag: fmt.Sprintf("v1.13.3-%d", number)}, w.signed("1.13.3", number), 0)
	}
	if diff := cmp.Diff([]string{"1.13.3-1", "1.13.3-2"}, w.synced(real(t), true)); diff != "" {
		t.Errorf("added (-want +got):\n%s", diff)
	}
}

// A release of which anything is not as it was signed is named, and nothing is
// published, not even what is right.
func TestSyncRefused(t *testing.T) {
	const info, archive = "spire_1.13.3-1_amd64.buildinfo", "spire_1.13.3.orig.tar.xz"
	edit := func(dir, name, content string) error {
		return os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600)
	}
	for name, c := range map[string]struct {
		spoil  func(w *world, dir string) error
		broken *hubtest.Asset // added
		want   string
	}{
		"a changed file": {
			spoil: func(_ *world, dir string) error { return edit(dir, info, "other") },
			want:  info + " has the digest sha256:",
		},
		"a missing file": {
			spoil: func(_ *world, dir string) error { return os.Remove(filepath.Join(dir, archive)) },
			want:  "it lacks " + archive,
		},
		"one more file": {
			spoil: func(_ *world, dir string) error { return edit(dir, "spire-agent_1.13.3-1_amd64.deb", "theirs") },
			want:  `it has "spire-agent_1.13.3-1_amd64.deb", which SHA256SUMS does not list`,
		},
		"no list": {
			spoil: func(_ *world, dir string) error { return os.Remove(filepath.Join(dir, artifact.SumsName)) },
			want:  "there is no SHA256SUMS beside it",
		},
		"no signature": {
			spoil: func(_ *world, dir string) error {
				return os.Remove(filepath.Join(dir, artifact.SumsSignature))
			},
			want: "there is no SHA256SUMS.asc beside it",
		},
		"all of it by another": {
			spoil: func(w *world, dir string) error {
				pipelinetest.Sum(w.T, pipelinetest.Someone(w.T, "other"), dir)
				return nil
			},
			want: "the signature of SHA256SUMS: it is signed by the key",
		},
		"an older version under its name": {
			spoil: func(w *world, dir string) error {
				older := w.signed("1.13.0", 1)
				return errors.Join(os.RemoveAll(dir), os.Rename(older, dir))
			},
			want: "its files are of another version: SHA256SUMS lists no spire_1.13.3-1.intoto.json",
		},
		"an upload that was cut": {
			spoil:  func(_ *world, dir string) error { return os.Remove(filepath.Join(dir, archive)) },
			broken: &hubtest.Asset{Name: archive, State: hubtest.Starter},
			want:   "the upload of " + archive + " has not ended",
		},
		"a changed file of which GitHub says no digest": {
			spoil:  func(_ *world, dir string) error { return os.Remove(filepath.Join(dir, archive)) },
			broken: &hubtest.Asset{Name: archive, Digest: "none"},
			want:   archive + ": checksum mismatch: it is not what was shipped",
		},
		"a name that leads elsewhere": {
			spoil:  func(*world, string) error { return nil },
			broken: &hubtest.Asset{Name: "../../x"},
			want:   `it has "../../x"`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			dir := w.signed("1.13.3", 1)
			if err := c.spoil(w, dir); err != nil {
				t.Fatal(err)
			}
			id := w.release(hubtest.Release{Tag: "v1.13.3-1"}, dir, 0)
			w.release(hubtest.Release{Tag: "v1.12.2-1"}, w.signed("1.12.2", 1), 0)
			if c.broken != nil {
				w.github.AddAsset(releasing, id, *c.broken, []byte("theirs"))
			}
			p := real(t)
			_, err := w.sync(p, true)
			for _, want := range []string{"the release v1.13.3-1 cannot be published", c.want} {
				if err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("the error lacks %q: %v", want, err)
				}
			}
			if _, err := os.Lstat(p.RepositoryDir()); !os.IsNotExist(err) {
				t.Errorf("something was published (%v)", err)
			}
			if left, _ := os.ReadDir(filepath.Join(string(p.Dist), "signed", "spire")); len(left) != 1 || left[0].Name() != "1.12.2-1" {
				t.Errorf("dist/signed has %v", left)
			}
		})
	}
}

// What was downloaded by a run that was then killed is not downloaded again, and
// what became wrong meanwhile is.
func TestSyncResumes(t *testing.T) {
	w := newWorld(t)
	for _, version := range []string{"1.12.2", "1.13.3"} {
		w.release(hubtest.Release{Tag: "v" + version + "-1"}, w.signed(version, 1), 0)
	}
	w.github.Fail(hubtest.Fault{Match: "^GET /storage", Skip: 7, Times: -1, Do: hubtest.Reset()})
	p := real(t)
	if _, err := w.sync(p, true); err == nil || !strings.Contains(err.Error(), "the release v1.13.3-1 cannot be published") {
		t.Fatalf("the error is %v", err)
	}
	w.github.Heal()
	report, err := w.sync(p, true)
	if err != nil || report.Unchanged || w.github.Count("^GET /storage") != 5 {
		t.Errorf("%d files were downloaded, %v", w.github.Count("^GET /storage"), err)
	}
	if err := errors.Join(os.RemoveAll(p.RepositoryDir()), os.Truncate(filepath.Join(string(p.Dist), "signed", "spire", "1.12.2-1", "spire_1.12.2.orig.tar.xz"), 3)); err != nil {
		t.Fatal(err)
	}
	if _, err := w.sync(p, true); err != nil || w.github.Count("^GET /storage") != 5 {
		t.Errorf("%d files were downloaded, %v", w.github.Count("^GET /storage"), err)
	}
}

// A host's hiccup, or a repository without releases, publishes nothing.
func TestSyncNothing(t *testing.T) {
	w := newWorld(t)
	p := real(t)
	if _, err := w.sync(p, true); err == nil || !strings.Contains(err.Error(), "there is nothing to publish") {
		t.Errorf("no release: %v", err)
	}
	w.release(hubtest.Release{Tag: "v1.13.3-1"}, w.signed("1.13.3", 1), 0)
	if _, err := w.sync(p, false); err == nil || !strings.Contains(err.Error(), "-first") {
		t.Errorf("no ledger: %v", err)
	}
	if _, err := os.Lstat(p.RepositoryDir()); !os.IsNotExist(err) {
		t.Errorf("something was published (%v)", err)
	}
	if downloads := w.github.Count("^GET /storage"); downloads > 0 {
		t.Errorf("%d files were downloaded", downloads)
	}
}
