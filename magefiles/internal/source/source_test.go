package source

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/artifact"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/gotool"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/gotool/gotooltest"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pkgdef"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/tool"
)

const version = "1.13.3"

func needPatch(t *testing.T) {
	t.Helper()
	if err := tool.Need("patch"); err != nil {
		t.Skip(err)
	}
}

func fetch(t *testing.T, f Fetcher, want Request) artifact.Tree {
	t.Helper()
	tree, err := f.Fetch(t.Context(), want)
	if err != nil {
		t.Fatal(err)
	}
	return tree
}

// refused makes sure of an error that says all the words, and of no tree.
func refused(t *testing.T, f Fetcher, want Request, words ...string) {
	t.Helper()
	tree, err := f.Fetch(t.Context(), want)
	if err == nil {
		t.Fatal("no error")
	}
	for _, word := range words {
		if !strings.Contains(err.Error(), word) {
			t.Errorf("the error does not say %q: %v", word, err)
		}
	}
	if diff := cmp.Diff(artifact.Tree{}, tree); diff != "" {
		t.Errorf("a tree beside the error: %s", diff)
	}
	noTrees(t, f)
}

// noTrees makes sure that nothing has its final name, nor is left half-made.
func noTrees(t *testing.T, f Fetcher) {
	t.Helper()
	left, err := filepath.Glob(filepath.Join(f.Dist.Work(), "*", "*"))
	if err != nil || len(left) > 0 {
		t.Errorf("there is %q (%v)", left, err)
	}
}

func TestFetch(t *testing.T) {
	needPatch(t)
	w := newWorld(t)
	sum := w.upstream(version)
	patches := []string{w.patchTo("0001-a.patch", "/tmp/api.sock", "/run/half.sock"), w.patchTo("0002-b.patch", "/run/half.sock", "/run/api.sock")}
	f := w.fetcher(patches...)
	tree := fetch(t, f, Request{Version: version})
	hash, err := artifact.HashTree(tree.Dir, "")
	if err != nil {
		t.Fatal(err)
	}
	digest := func(file string) string {
		sum, _, err := artifact.Digest(file)
		if err != nil {
			t.Fatal(err)
		}
		return sum
	}
	want := artifact.Tree{
		Module: modulePath, Version: version, Sum: sum, Commit: commit, CommitBy: artifact.ProxysWord, Time: commitTime, Verified: true,
		Patches: []artifact.Patch{{Name: "0001-a.patch", SHA256: digest(patches[0])}, {Name: "0002-b.patch", SHA256: digest(patches[1])}},
		Dir:     f.Dist.Work(version, "source"), Hash: hash, Fresh: true,
		Upstream: f.Dist.Work(version, "upstream.tar"), UpstreamSHA256: digest(f.Dist.Work(version, "upstream.tar")),
	}
	if diff := cmp.Diff(want, tree); diff != "" {
		t.Error(diff)
	}
	if got := read(t, tree.Dir, "sockets.txt"); got != "first\nsocket /run/api.sock\nlast\n" {
		t.Errorf("patched: %q", got)
	}
	if got := read(t, tree.Dir, "vendor", dependencyPath, "said.go"); !strings.Contains(got, `Said = "hello"`) {
		t.Errorf("vendored: %q", got)
	}
	if left, _ := filepath.Glob(filepath.Join(tree.Dir, "*.orig")); left != nil {
		t.Errorf("patch left %q", left)
	}
}

// A module's zip has the list of upstream's own vendor folder: it is no part of what the
// source packages carry of upstream, beside our dependencies.
func TestUpstreamsVendorFolder(t *testing.T) {
	w := newWorld(t)
	w.upstream("1.13.2") // which publishes the dependency, too
	files := upstreamFiles(version, w.Sums[dependencyPath+"@v1.0.0"])
	files["vendor/modules.txt"] = "# stale\n"
	w.Publish(t, modulePath, "v"+version, files)
	tree := fetch(t, w.fetcher(), Request{Version: version})
	if archive, err := os.ReadFile(tree.Upstream); err != nil || strings.Contains(string(archive), "# stale") || !strings.Contains(string(archive), "sockets.txt") {
		t.Errorf("the archive has it, or nothing (%v)", err)
	}
	if list := read(t, tree.Dir, "vendor", "modules.txt"); strings.Contains(list, "stale") {
		t.Errorf("it was not made anew: %s", list)
	}
}

// An earlier tree is used again when nothing changed; what changed makes a new
// one; and the old words make the old tree again.
func TestFetchAgain(t *testing.T) {
	needPatch(t)
	w := newWorld(t)
	w.upstream(version)
	patch := w.patchTo("0001-a.patch", "/tmp/api.sock", "/run/api.sock")
	f := w.fetcher(patch)
	first := fetch(t, f, Request{Version: version})
	mark := write(t, filepath.Join(first.Dir, "mark"), "")
	again := func(f Fetcher, made bool, socket string) artifact.Tree {
		t.Helper()
		tree := fetch(t, f, Request{Version: version})
		_, err := os.Stat(mark)
		if tree.Fresh != made || errors.Is(err, fs.ErrNotExist) != made {
			t.Errorf("fresh: %v, the mark: %v; want a new tree: %v", tree.Fresh, err, made)
		}
		if got := read(t, tree.Dir, "sockets.txt"); !strings.Contains(got, socket) {
			t.Errorf("the tree has %q", got)
		}
		write(t, mark, "")
		return tree
	}
	same := again(f, false, "/run/api.sock")
	same.Fresh = first.Fresh
	if diff := cmp.Diff(first, same); diff != "" {
		t.Error(diff)
	}
	write(t, patch, strings.ReplaceAll(read(t, patch), "/run/api.sock", "/run/other.sock"))
	again(f, true, "/run/other.sock")
	f.Source.Patches = nil
	again(f, true, "/tmp/api.sock")
	f.Source.Releases = map[string]pkgdef.Pin{version: {Sum: first.Sum, Commit: commit, Time: commitTime}}
	again(f, true, "/tmp/api.sock")
	again(f, false, "/tmp/api.sock")
	if err := os.RemoveAll(first.Dir); err != nil {
		t.Fatal(err)
	}
	again(f, true, "/tmp/api.sock")
}

// A tree that could not be finished must not stand in for an earlier one.
func TestFailedFetchKeepsTheEarlierTree(t *testing.T) {
	needPatch(t)
	w := newWorld(t)
	w.upstream(version)
	good := w.fetcher()
	want := fetch(t, good, Request{Version: version})
	link := write(t, filepath.Join(t.TempDir(), "0001-link.patch"),
		"diff --git a/link b/link\nnew file mode 120000\n--- /dev/null\n+++ b/link\n@@ -0,0 +1 @@\n+pkg\n\\ No newline at end of file\n")
	for name, patch := range map[string]string{
		"a patch that does not apply": w.patchTo("0001-a.patch", "/elsewhere", "/x"),
		"a tree that has no hash":     link,
	} {
		t.Run(name, func(t *testing.T) {
			bad := good
			bad.Source.Patches = []string{patch}
			if _, err := bad.Fetch(t.Context(), Request{Version: version}); err == nil {
				t.Fatal("no error")
			}
			got := fetch(t, good, Request{Version: version})
			if got.Fresh {
				t.Error("it was made again")
			}
			if err := got.Check(); err != nil || got.Hash != want.Hash {
				t.Errorf("the tree is not what it was: %v", err)
			}
		})
	}
}

func TestBadVersions(t *testing.T) {
	f := Fetcher{Source: pkgdef.Source{Module: modulePath}, Dist: artifact.Dist(filepath.Join(t.TempDir(), "dist")), Log: new(strings.Builder)}
	t.Setenv("PATH", "") // whatever is started would be another error
	for _, version := range []string{"", "1.13", "v1.13.3", "v1.13.3;id", "1.13.3;id", "../x", "1.13.3/../..", "latest", "1.13.3-rc1", "1.13.3\n", "01.1.1", "-x"} {
		t.Run(version, func(t *testing.T) {
			refused(t, f, Request{Version: version}, "is not of the form MAJOR.MINOR.PATCH")
			if log(f) != "" {
				t.Errorf("something was begun: %s", log(f))
			}
			if _, err := os.Stat(string(f.Dist)); err == nil {
				t.Error("there is a dist")
			}
		})
	}
}

func TestUnknownVersion(t *testing.T) {
	w := newWorld(t)
	w.upstream(version)
	refused(t, w.fetcher(), Request{Version: "9.9.9"}, "preparing the source of "+modulePath+" 9.9.9", "could not download it", "v9.9.9")
}

// The checksum database vouches, or there is no tree: the whole of the zip is
// compared, in the proxy and in the cache.
func TestTampered(t *testing.T) {
	for name, test := range map[string]struct {
		tamper func(t *testing.T, w *world)
		words  []string
	}{
		"the proxy has another zip": {func(t *testing.T, w *world) {
			replace(t, w)
			gotooltest.Writable(t, w.Cache)
			if err := os.RemoveAll(filepath.Join(w.Cache, "cache")); err != nil {
				t.Fatal(err)
			}
		}, []string{"could not download it", "checksum mismatch"}},
		"one bit of the cached zip": {func(t *testing.T, w *world) {
			flip(t, w.cached("v"+version+".zip"), "main.go")
		}, []string{"v" + version + ".zip", "the module cache is damaged", "go clean -modcache"}},
		"another zip in the cache": {func(t *testing.T, w *world) {
			replace(t, w)
			write(t, w.cached("v"+version+".zip"), read(t, w.Proxy, modulePath, "@v", "v"+version+".zip"))
		}, []string{"v" + version + ".zip", "the checksum database says", "go clean -modcache"}},
		"another zip and its hash in the cache": {func(t *testing.T, w *world) {
			sum := replace(t, w)
			write(t, w.cached("v"+version+".zip"), read(t, w.Proxy, modulePath, "@v", "v"+version+".zip"))
			write(t, w.cached("v"+version+".ziphash"), sum)
		}, []string{"could not download it", "checksum mismatch"}},
		"the database does not know it": {func(t *testing.T, w *world) {
			w.upstream("1.13.4")
			delete(w.Sums, modulePath+"@v1.13.4")
		}, []string{"could not download it", "v1.13.4"}},
		"a dependency in the cache": {func(t *testing.T, w *world) {
			gotooltest.Writable(t, w.Cache)
			file := filepath.Join(w.Cache, dependencyPath+"@v1.0.0", "said.go")
			if err := os.Chmod(file, 0o644); err != nil {
				t.Fatal(err)
			}
			write(t, file, strings.Replace(read(t, file), "hello", "harm!", 1))
		}, []string{"verifying the dependencies", dependencyPath}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.upstream(version)
			fetch(t, w.fetcher(), Request{Version: version}) // fills the cache
			want := Request{Version: version}
			test.tamper(t, w)
			if strings.HasPrefix(name, "the database") {
				want.Version = "1.13.4"
			}
			refused(t, w.fetcher(), want, test.words...)
		})
	}
}

// replace publishes another content under the same version, of which the
// database knows nothing.
func replace(t *testing.T, w *world) (sum string) {
	t.Helper()
	vouched := w.Sums[modulePath+"@v"+version]
	files := upstreamFiles(version, w.Sums[dependencyPath+"@v1.0.0"])
	files["main.go"] += "\n// harm\n"
	sum, _ = w.Publish(t, modulePath, "v"+version, files)
	w.Sums[modulePath+"@v"+version] = vouched
	return sum
}

func TestCacheDoesNotMatter(t *testing.T) {
	w := newWorld(t)
	w.upstream(version)
	want := fetch(t, w.fetcher(), Request{Version: version})
	gotooltest.Writable(t, w.Cache)
	unpacked := filepath.Join(w.Cache, modulePath+"@v"+version, "main.go")
	if err := os.MkdirAll(filepath.Dir(unpacked), 0o755); err != nil {
		t.Fatal(err)
	}
	_ = os.Chmod(unpacked, 0o644)
	write(t, unpacked, "harm")
	if got := fetch(t, w.fetcher(), Request{Version: version}); got.Hash != want.Hash {
		t.Error("the tree comes from the cache's unpacked copy, which nobody hashed")
	}
}

func TestDatabaseSwitchedOff(t *testing.T) {
	for name, test := range map[string]struct{ setting, value, module string }{
		"off":                          {"GOSUMDB", "off", modulePath},
		"somebody's own":               {"GOSUMDB", "sum.example.test+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8 http://127.0.0.1:1", modulePath},
		"left out":                     {"GONOSUMDB", "example.org/*", modulePath},
		"private":                      {"GOPRIVATE", modulePath, modulePath},
		"the toolchain alone left out": {"GONOSUMDB", gotool.Module, gotool.Module},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.upstream(version)
			t.Setenv(test.setting, test.value)
			if test.setting == "GOPRIVATE" {
				// GOPRIVATE is what GONOSUMDB and GONOPROXY are unless set.
				t.Setenv("GONOPROXY", "none")
				if err := os.Unsetenv("GONOSUMDB"); err != nil {
					t.Fatal(err)
				}
			}
			words := test.setting + "=" + test.value + " (in the environment)"
			refused(t, w.fetcher(), Request{Version: version}, "the checksum database cannot vouch for "+test.module+": "+words, "-unchecked", "SPIRE_UNCHECKED=1")
			if _, err := os.Stat(filepath.Join(w.Cache, "cache")); err == nil {
				t.Error("something was downloaded")
			}
			if strings.HasPrefix(test.value, "sum.example") {
				return // nobody answers there
			}
			f := w.fetcher()
			tree := fetch(t, f, Request{Version: version, AllowUnchecked: true})
			if tree.Verified || tree.Dir != f.Dist.Work(version+"~unverified", "source") {
				t.Errorf("verified: %v, in %s", tree.Verified, tree.Dir)
			}
			if want := "source: NOT VERIFIED: " + words; !strings.Contains(log(f), want) {
				t.Errorf("the log does not say %q: %s", want, log(f))
			}
		})
	}
}

// Leave to go without the database is not used where the database answers.
func TestUncheckedIsVerifiedWhereItCanBe(t *testing.T) {
	w := newWorld(t)
	w.upstream(version)
	if tree := fetch(t, w.fetcher(), Request{Version: version, AllowUnchecked: true}); !tree.Verified {
		t.Error("the tree is unverified")
	}
}

func TestPins(t *testing.T) {
	w := newWorld(t)
	sum := w.upstream(version)
	free := w.fetcher()
	hash, err := artifact.HashTree(filepath.Join(fetch(t, free, Request{Version: version}).Dir, "vendor"), "vendor")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(log(free), "vendor: "+hash) {
		t.Errorf("the vendor hash to pin is not named: %s", log(free))
	}
	right := pkgdef.Pin{Sum: sum, Commit: commit, Time: commitTime, Vendor: hash}
	for name, test := range map[string]struct {
		change func(*pkgdef.Pin)
		words  []string // of the alarm; nil for none
	}{
		"right":           {func(*pkgdef.Pin) {}, nil},
		"vendor unknown":  {func(p *pkgdef.Pin) { p.Vendor = "" }, nil},
		"another zone":    {func(p *pkgdef.Pin) { p.Time = p.Time.In(time.FixedZone("", 7200)) }, nil},
		"another sum":     {func(p *pkgdef.Pin) { p.Sum = "h1:other" }, []string{"is not what it was", sum, "h1:other", "srpm/upstream/source.yaml"}},
		"another commit":  {func(p *pkgdef.Pin) { p.Commit = strings.Repeat("f", 40) }, []string{"is not what it was", commit, strings.Repeat("f", 40)}},
		"another time":    {func(p *pkgdef.Pin) { p.Time = p.Time.Add(time.Second) }, []string{"is not what it was", "2025-10-23T12:39:57Z", "2025-10-23T12:39:58Z"}},
		"another vendor/": {func(p *pkgdef.Pin) { p.Vendor = "h1:other" }, []string{"the vendored dependencies have the hash " + hash, "h1:other"}},
	} {
		t.Run(name, func(t *testing.T) {
			pin := right
			test.change(&pin)
			f := w.fetcher()
			f.Source.Releases = map[string]pkgdef.Pin{version: pin}
			if test.words != nil {
				refused(t, f, Request{Version: version}, test.words...)
				return
			}
			fetch(t, f, Request{Version: version})
			if byOne := strings.Contains(log(f), "one by one"); byOne != (pin.Vendor == "") {
				t.Errorf("verified one by one: %v", byOne)
			}
		})
	}
}

// A proxy need not pass on where a version came from; what is known stands in.
func TestIdentifyWithoutOrigin(t *testing.T) {
	info := write(t, filepath.Join(t.TempDir(), "info"), `{"Version":"v1.13.3","Time":"2025-10-23T12:39:57Z"}`)
	pin := pkgdef.Pin{Sum: "h1:x", Commit: commit, Time: commitTime}
	for name, test := range map[string]struct {
		releases map[string]pkgdef.Pin
		want, by string
	}{"known": {map[string]pkgdef.Pin{version: pin}, commit, "srpm/upstream/source.yaml"}, "unknown": {nil, "", ""}} {
		tree := artifact.Tree{Version: version, Sum: "h1:x"}
		f := Fetcher{Source: pkgdef.Source{Name: "upstream", Releases: test.releases}}
		if err := f.identify(&tree, info); err != nil || tree.Commit != test.want || tree.CommitBy != test.by || !tree.Time.Equal(commitTime) {
			t.Errorf("%s: %+v, %v", name, tree, err)
		}
	}
	for name, file := range map[string]string{"absent": info + "x", "no JSON": write(t, info+"2", "<html>")} {
		if err := (Fetcher{}).identify(new(artifact.Tree), file); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestPatchDoesNotApply(t *testing.T) {
	needPatch(t)
	w := newWorld(t)
	w.upstream(version)
	good := w.patchTo("0001-good.patch", "/tmp/api.sock", "/run/api.sock")
	for name, bad := range map[string]string{
		"another content": w.patchTo("0002-bad.patch", "/elsewhere", "/x"),
		"applied already": w.patchTo("0002-bad.patch", "/tmp/api.sock", "/run/api.sock"),
		"context is near": write(t, filepath.Join(t.TempDir(), "0002-bad.patch"), strings.Replace(read(t, w.patchTo("x", "/run/api.sock", "/y")), " first", " fist", 1)),
		"no such file":    write(t, filepath.Join(t.TempDir(), "0002-bad.patch"), strings.ReplaceAll(read(t, good), "sockets.txt", "absent.txt")),
	} {
		t.Run(name, func(t *testing.T) {
			refused(t, w.fetcher(good, bad), Request{Version: version}, "patch "+bad+" does not apply: refresh it for this version")
		})
	}
	absent := good + "x"
	refused(t, w.fetcher(absent), Request{Version: version}, absent)
}

// Without go.sum, or with one that lacks a dependency, nothing vouches.
func TestGoSum(t *testing.T) {
	w := newWorld(t)
	w.upstream(version)
	files := upstreamFiles("1.13.4", "")
	w.Publish(t, modulePath, "v1.13.4", files)
	refused(t, w.fetcher(), Request{Version: "1.13.4"}, "dependenc")
	delete(files, "go.sum")
	w.Publish(t, modulePath, "v1.13.5", files)
	refused(t, w.fetcher(), Request{Version: "1.13.5"}, "reading the dependencies' checksums")
}

// local is a directory with upstream's source.
func (w *world) local() (dir string) {
	w.t.Helper()
	w.upstream(version)
	dir = w.t.TempDir()
	for name, content := range upstreamFiles(version, w.Sums[dependencyPath+"@v1.0.0"]) {
		write(w.t, filepath.Join(dir, filepath.FromSlash(name)), content)
	}
	return dir
}

func TestLocal(t *testing.T) {
	needPatch(t)
	w := newWorld(t)
	dir := w.local()
	write(t, filepath.Join(dir, ".git", "HEAD"), "x")
	write(t, filepath.Join(dir, "vendor", "stale"), "x")
	f := w.fetcher(w.patchTo("0001-a.patch", "/tmp/api.sock", "/run/api.sock"))
	for name, test := range map[string]struct {
		asked string
		pins  map[string]pkgdef.Pin
		time  time.Time
	}{
		"its own version": {"", nil, time.Unix(0, 0).UTC()},
		"the version":     {version, nil, time.Unix(0, 0).UTC()},
		"a known release": {"", map[string]pkgdef.Pin{version: {Sum: "h1:other", Commit: commit, Time: commitTime, Vendor: "h1:other"}}, commitTime},
	} {
		t.Run(name, func(t *testing.T) {
			f.Source.Releases = test.pins
			tree := fetch(t, f, Request{Dir: dir, Version: test.asked})
			if tree.Verified || tree.Version != version || tree.Sum != "" || tree.Commit != "" || !tree.Time.Equal(test.time) {
				t.Errorf("%+v", tree)
			}
			if tree.Dir != f.Dist.Work(version+"~unverified", "source") {
				t.Errorf("it is in %s", tree.Dir)
			}
			if !strings.Contains(read(t, tree.Dir, "sockets.txt"), "/run/api.sock") {
				t.Error("it is not patched")
			}
			for _, gone := range []string{".git", "vendor/stale"} {
				if _, err := os.Stat(filepath.Join(tree.Dir, gone)); err == nil {
					t.Errorf("it has %s", gone)
				}
			}
		})
	}
	if !strings.Contains(log(f), "source: NOT VERIFIED: local directory "+dir) {
		t.Errorf("the log: %s", log(f))
	}
	if read(t, dir, "sockets.txt") != "first\nsocket /tmp/api.sock\nlast\n" {
		t.Error("the user's own directory was changed")
	}
}

// A source of this repository is its folder, with the sum that it would have as a module.
func TestOwn(t *testing.T) {
	w := newWorld(t)
	f := w.fetcher()
	f.Source.Own, f.Source.Version, f.Source.Time = w.local(), version, commitTime
	tree := fetch(t, f, Request{Version: version})
	if !tree.Verified || tree.Commit != "" || !tree.Time.Equal(commitTime) || tree.Dir != f.Dist.Work(version, "source") {
		t.Errorf("%+v", tree)
	}
	if want := strings.Fields(w.Sums[modulePath+"@v"+version])[2]; tree.Sum != want {
		t.Errorf("sum %s, and the module's is %s", tree.Sum, want)
	}
	if known, err := f.Known(t.Context(), version); err != nil || known.Sum != tree.Sum || !known.Time.Equal(tree.Time) {
		t.Errorf("known of it: %+v, error %v", known, err)
	}
	if again := fetch(t, f, Request{Version: version}); again.Fresh {
		t.Error("it was made again, and nothing has changed")
	}
	write(t, filepath.Join(f.Source.Own, "sockets.txt"), "changed\n")
	if changed := fetch(t, f, Request{Version: version}); changed.Sum == tree.Sum || !changed.Fresh {
		t.Errorf("what was changed has the sum %s", changed.Sum)
	}
	if _, err := f.Fetch(t.Context(), Request{Version: "1.2.3"}); err == nil || !strings.Contains(err.Error(), "1.2.3 is not in this checkout, which has "+version) {
		t.Errorf("another version: %v", err)
	}
}

func TestLocalAgain(t *testing.T) {
	w := newWorld(t)
	dir, f := w.local(), w.fetcher()
	first := fetch(t, f, Request{Dir: dir})
	if again := fetch(t, f, Request{Dir: dir}); again.Fresh || again.Hash != first.Hash {
		t.Errorf("nothing changed: %+v", again)
	}
	write(t, filepath.Join(dir, "new.txt"), "new")
	if changed := fetch(t, f, Request{Dir: dir}); !changed.Fresh || changed.Hash == first.Hash {
		t.Errorf("a new file: %+v", changed)
	}
}

func TestLocalRefused(t *testing.T) {
	w := newWorld(t)
	dir := w.local()
	f := w.fetcher()
	refused(t, f, Request{Dir: dir, Version: "1.13.4"}, dir+" holds version 1.13.3, not 1.13.4")
	refused(t, f, Request{Dir: t.TempDir()}, "is not a source tree of "+modulePath)
	for content, words := range map[string]string{
		"package version\n":               "names no version",
		"\tBase = \"../x\"\n":             "is not of the form",
		"\tBase = \"1.13.3-dev\"\n":       "is not of the form",
		"// Base = \"1.13.3\" is usual\n": "names no version",
	} {
		write(t, filepath.Join(dir, "pkg", "version", "version.go"), content)
		refused(t, f, Request{Dir: dir}, words)
	}
}

// A directory that does not say its version is of the one that is asked for.
func TestLocalAsked(t *testing.T) {
	w := newWorld(t)
	dir, f := w.local(), w.fetcher()
	if err := os.Remove(filepath.Join(dir, "pkg", "version", "version.go")); err != nil {
		t.Fatal(err)
	}
	refused(t, f, Request{Dir: dir}, "that says its version, which -version can say")
	refused(t, f, Request{Dir: dir, Version: "../x"}, "is not of the form")
	if tree := fetch(t, f, Request{Dir: dir, Version: "1.2.3"}); tree.Version != "1.2.3" || tree.Verified {
		t.Errorf("%+v", tree)
	}
}

// Where nothing was built there is no tree, and the text is the vouched one.
func TestText(t *testing.T) {
	w := newWorld(t)
	w.upstream(version)
	f := w.fetcher()
	if got, err := f.Text(t.Context(), version, "CHANGELOG.md"); err != nil || got != "## [1.13.3] - 2025-10-23\n- what changed\n" {
		t.Errorf("%q, %v", got, err)
	}
	if got, err := f.Text(t.Context(), version, "ABSENT.md"); err != nil || got != "" {
		t.Errorf("absent: %q, %v", got, err)
	}
	flip(t, w.cached("v"+version+".zip"), "CHANGELOG.md")
	if _, err := f.Text(t.Context(), version, "CHANGELOG.md"); err == nil || !strings.Contains(err.Error(), "the module cache is damaged") {
		t.Errorf("another zip: %v", err)
	}
	t.Setenv("GOSUMDB", "off")
	if _, err := f.Text(t.Context(), version, "CHANGELOG.md"); err == nil || !strings.Contains(err.Error(), "cannot vouch") {
		t.Errorf("without the database: %v", err)
	}
	noTrees(t, f)
}

// What runs beside the making of a tree has ended when Fetch comes back.
func TestMeanwhile(t *testing.T) {
	w := newWorld(t)
	w.upstream(version)
	f := w.fetcher()
	ran := 0
	f.Background = func(ctx context.Context) {
		<-ctx.Done()
		ran++
	}
	fetch(t, f, Request{Version: version})
	fetch(t, f, Request{Version: version})
	if ran != 1 {
		t.Errorf("it ran %d times, not once", ran)
	}
}

func TestCancelled(t *testing.T) {
	w := newWorld(t)
	w.upstream(version)
	f := w.fetcher()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := f.Fetch(ctx, Request{Version: version}); !errors.Is(err, context.Canceled) {
		t.Errorf("the error is %v", err)
	}
	noTrees(t, f)
}

// A part does without a dependency that cannot be had, and the whole does not.
func TestPart(t *testing.T) {
	w := newWorld(t)
	w.upstream(version)
	if err := os.Remove(filepath.Join(w.Proxy, filepath.FromSlash(dependencyPath), "@v", "v1.0.0.zip")); err != nil {
		t.Fatal(err)
	}
	f := w.fetcher()
	refused(t, f, Request{Version: version}, "vendoring the dependencies", dependencyPath)
	tree := fetch(t, f, Request{Version: version, Part: true})
	if _, err := os.Stat(filepath.Join(tree.Dir, "vendor", filepath.FromSlash(dependencyPath), "said.go")); err == nil || !tree.Verified {
		t.Errorf("%+v", tree)
	}
	if said := log(f); !strings.Contains(said, dependencyPath+"@v1.0.0: reading") {
		t.Errorf("it does not say what is left out: %s", said)
	}
	if _, err := f.Fetch(t.Context(), Request{Version: version}); err == nil {
		t.Error("a part was taken for the whole")
	}
}
