package suite

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/artifact"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/distro"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/hub/hubtest"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pipeline"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pkgdef"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/repo"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/report"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/run"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/sign"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/tool"
)

// The repositories on the fake GitHub.
const (
	ours   = "spiffe-experimental/spire-packages"
	theirs = "spiffe/spire"
)

// A version is released and published, and the night after it there is nothing
// to do, even for who insists: each step as the workflows have it.
func TestNightly(t *testing.T) {
	w := newNights(t)

	first := w.night()
	w.want("the plan", first.job("nightly.yml", "plan", map[string]string{"inputs.version": ""})["versions"], `["`+w.version+`"]`)
	w.release(first)
	w.released(filepath.Join(first.root, "dist", "signed", "spire", w.version))
	first.values["inputs.first == true"] = "true" // by hand, once
	w.publish(first, "repo-refresh.yml", "true")
	w.published(filepath.Join(first.root, "dist"))
	w.outcome(first, 1, "success")
	w.want("issues after a good night", w.issues(), "[]")
	w.serve(filepath.Join(first.root, "dist", "repo"))

	second := w.night()
	w.want("the plan of the second night", second.job("nightly.yml", "plan", map[string]string{"inputs.version": ""})["versions"], "[]")
	w.want("what is asked for", second.job("nightly.yml", "plan", map[string]string{"inputs.version": w.version})["versions"], `["`+w.version+`"]`)
	w.github.Forget()
	w.release(second)
	w.publish(second, "nightly.yml", "false")
	w.want("what the second night changed on GitHub", fmt.Sprint(w.github.Count("^(POST|PATCH|PUT|DELETE) ")), "0")
	w.outcome(second, 2, "failure")
	w.want("issues after a bad night", w.issues(), "[open]")
	w.outcome(second, 3, "success")
	w.want("issues after it", w.issues(), "[closed]")
	w.canary.check(t)
	w.want("places that got a token and should not", fmt.Sprint(w.github.Leaks()), "[]")
}

// nights are what stays from one night to the next.
type nights struct {
	*testing.T
	source    pkgdef.Source
	version   string // under test
	arch      string // what was built
	place     string // folder with everything
	github    *hubtest.Server
	host      *httptest.Server // serves what is published
	key       *testKey
	artifacts map[string]string
	vouched   map[string]string // what the machines found that build once more
	table     string            // of the tests' results
	canary    canary
}

func newNights(t *testing.T) *nights {
	t.Helper()
	built := builtPackages(t)
	w := &nights{T: t, version: filepath.Base(built), place: t.TempDir(), github: hubtest.New(t), artifacts: map[string]string{}}
	w.tag()
	w.host = httptest.NewServer(http.FileServer(http.Dir(filepath.Join(w.place, "site"))))
	t.Cleanup(w.host.Close)
	var err error
	if w.key, err = newTestKey(t.Context(), "SPIRE packages rehearsal <rehearsal@example.org>", time.Now()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.key.close() })
	w.canary = newCanary(t, append(w.key.secretLines(), hubtest.Token, hubtest.ReadToken))
	w.upload(built)
	w.test(blockingPlaces(t)...)
	w.commit()
	return w
}

// builtPackages is the folder of a version that was built.
func builtPackages(t *testing.T) string {
	t.Helper()
	built := os.Getenv("SPIRE_TEST_BUILT")
	if built == "" {
		t.Skip("NOT CHECKED: SPIRE_TEST_BUILT names no folder of built packages")
	}
	if err := tool.Need(tool.Programs(tool.Release)...); err != nil {
		t.Skipf("NOT CHECKED: the steps would install what is missing: %v", err)
	}
	return built
}

// tag gives upstream the version under test, and one that would be due too but
// for the floor.
func (w *nights) tag() {
	w.Helper()
	var err error
	if w.source, err = pkgdef.LoadSource(checkout, "spire"); err != nil {
		w.Fatal(err)
	}
	pin, ok := w.source.Releases[w.version]
	if !ok {
		w.Skipf("NOT CHECKED: srpm/spire/source.yaml does not know the commit of %s, which was built", w.version)
	}
	w.github.Repository(ours)
	w.github.SetTag(theirs, "v"+w.version, pin.Commit)
	w.github.SetTag(theirs, "v1.0.0", strings.Repeat("a", 40))
}

// upload is what the machines leave that build. Those that do so for the other
// architectures leave an empty folder here.
func (w *nights) upload(built string) {
	w.Helper()
	records, err := filepath.Glob(filepath.Join(built, "*.build.json"))
	if err != nil || len(records) == 0 {
		w.Fatalf("%s has the records of no build: %v", built, err)
	}
	var arches []string
	for _, record := range records {
		parts := strings.Split(strings.TrimSuffix(filepath.Base(record), ".build.json"), "_")
		arches = append(arches, parts[len(parts)-1])
	}
	w.arch = strings.Join(arches, ",")
	w.artifacts["built-"+w.version+"-"+arches[0]] = built
	w.artifacts["built-"+w.version+"-other"] = w.TempDir()
	files, err := artifact.Sums(built)
	if err != nil {
		w.Fatal(err)
	}
	digests := pipeline.Result{Files: files}.Digests()
	w.vouched = map[string]string{"amd64": strings.Join(strings.Fields(digests), " "), "arm64": ""}
}

// blockingPlaces are those without whose tests nothing is released.
func blockingPlaces(t *testing.T) (names []string) {
	t.Helper()
	rows, err := distro.Load(filepath.Join(checkout, "tests", "distros.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range rows {
		for _, arch := range row.Architectures {
			if row.Tier == distro.Blocking {
				names = append(names, distro.Place{Row: row, Arch: arch}.Name())
			}
		}
	}
	return slices.Sorted(slices.Values(names))
}

// test leaves the reports of places where all went well.
func (w *nights) test(places ...string) {
	w.Helper()
	all := report.Run{Version: w.version, Start: time.Now().UTC().Truncate(time.Second), Took: time.Second}
	for _, place := range places {
		one := all
		one.Results = []report.Result{{Place: place, Arch: runtime.GOARCH, Tier: "blocking", Scenario: "works", Status: report.Passed, Checks: 3, Took: time.Second}}
		dir := w.TempDir()
		if err := report.Write(dir, one); err != nil {
			w.Fatal(err)
		}
		w.artifacts["test-"+w.version+"-"+place] = dir
		all.Results = append(all.Results, one.Results...)
	}
	var err error
	if w.table, err = report.Markdown(all); err != nil {
		w.Fatal(err)
	}
}

// commit makes a repository of the checkout as it is, also of what is not
// committed yet; like on a runner, with one commit.
func (w *nights) commit() {
	w.git("init", "--quiet", w.origin())
	within := []string{"--git-dir=" + filepath.Join(w.origin(), ".git"), "--work-tree=.", "-c", "user.name=n", "-c", "user.email=n@example.org", "-c", "commit.gpgsign=false"}
	w.git(append(within, "add", "--all")...)
	w.git(append(within, "commit", "--quiet", "--message=under test")...)
	// The key is one that the checkout names.
	w.git("clone", "--quiet", filepath.Join(w.origin(), ".git"), w.keyed())
	key := filepath.Join(w.keyed(), pipeline.KeysDir, "rehearsal.asc")
	if err := artifact.WriteBytes(key, 0o644, sign.Armoured(w.key.signer.Certificate())); err != nil {
		w.Fatal(err)
	}
	inside := []string{"-C", w.keyed(), "-c", "user.name=n", "-c", "user.email=n@example.org", "-c", "commit.gpgsign=false"}
	w.git(append(inside, "add", pipeline.KeysDir)...)
	w.git(append(inside, "commit", "--quiet", "--message=a key")...)
}

func (w *nights) origin() string { return filepath.Join(w.place, "origin") }

func (w *nights) keyed() string { return filepath.Join(w.place, "keyed") }

func (w *nights) git(args ...string) {
	w.Helper()
	command := run.New("git", args...).In(checkout)
	command.Env = plain()
	if said, err := command.Combined(w.Context()); err != nil {
		w.Fatalf("%v%s", err, indented(said))
	}
}

// plain is the environment without what would decide in place of a workflow.
func plain() []string {
	own := regexp.MustCompile(`^(SPIRE|GITHUB|GH|GIT|MAGEFILE)_`)
	return slices.DeleteFunc(os.Environ(), own.MatchString)
}

// night is a run of the workflow: a clean clone, at the same place as on every
// runner, and the environment that GitHub sets.
func (w *nights) night() *runner {
	w.Helper()
	root := filepath.Join(w.place, "checkout")
	if err := os.RemoveAll(root); err != nil {
		w.Fatal(err)
	}
	w.git("clone", "--quiet", w.keyed(), root)
	return &runner{
		TB: w, root: root, artifacts: w.artifacts,
		// What looks at the source anew is another machine's.
		needs: map[string]ended{"adopt": {"success", map[string]string{"versions": `["` + w.version + `"]`, "waiting": "[]"}}},
		machine: append(append(plain(), w.canary.environment...), "CI=true", "GITHUB_ACTIONS=true", "GITHUB_SERVER_URL="+w.github.URL(), "GITHUB_API_URL="+w.github.API(),
			"GITHUB_REPOSITORY="+ours, "GITHUB_WORKFLOW=nightly", "GITHUB_WORKFLOW_REF="+ours+"/.github/workflows/nightly.yml@refs/heads/main",
			"GITHUB_RUN_ATTEMPT=1", "GITHUB_WORKSPACE="+root,
			"SPIRE_UPSTREAM="+w.github.URL(), "MAGEFILE_CACHE="+filepath.Join(w.place, "mage")),
		last: []string{"SPIRE_ARCH=" + w.arch}, // other machines build for the others
		values: map[string]string{
			"matrix.version": w.version, "vars.SPIRE_FLOOR": w.version, "vars.SPIRE_REPO_URL": w.host.URL,
			"secrets.SPIRE_SIGN_SECRET": w.key.secret, "secrets.SPIRE_SIGN_PASSPHRASE": "",
		},
	}
}

// release runs the jobs of version.yml that need no other machine.
func (w *nights) release(r *runner) {
	w.Helper()
	inputs := r.call("nightly.yml", "version")
	var matrix struct{ Include []map[string]string }
	if err := json.Unmarshal([]byte(r.job("version.yml", "places", inputs)["matrix"]), &matrix); err != nil || len(matrix.Include) == 0 {
		w.Fatalf("the places to test at are %v: %v", matrix, err)
	}
	r.needs["vouch"] = ended{"success", w.vouched}
	r.job("version.yml", "release", inputs)
	if compiled, _ := filepath.Glob(filepath.Join(r.root, "dist", "spire", ".work", w.version, "*")); len(compiled) > 0 {
		w.Errorf("where the key is, %v were made of upstream's source", compiled)
	}
}

func (w *nights) publish(r *runner, caller, changed string) {
	w.Helper()
	outputs := r.job("publish.yml", "sync", r.call(caller, "publish"))
	w.want("that there is something new to serve", outputs["changed"], changed)
	r.needs["publish"] = ended{"success", outputs}
}

// outcome is the last job of a run, in which version.yml ended with a result.
func (w *nights) outcome(r *runner, number int, result string) {
	w.Helper()
	r.machine = append(r.machine, fmt.Sprintf("GITHUB_RUN_ID=%d", number))
	r.needs["version"] = ended{Result: result}
	r.job("nightly.yml", "outcome", nil)
}

// want compares two texts.
func (w *nights) want(what, got, want string) {
	w.Helper()
	if got != want {
		w.Errorf("%s: %s, want %s", what, got, want)
	}
}

func (w *nights) issues() string {
	states := []string{}
	for _, issue := range w.github.Issues(ours) {
		states = append(states, map[bool]string{false: "open", true: "closed"}[issue.Closed])
	}
	return fmt.Sprint(states)
}

// digests are those of the files in a folder, by name.
func (w *nights) digests(dir string) map[string]string {
	w.Helper()
	files, err := artifact.Describe(dir)
	if err != nil {
		w.Fatal(err)
	}
	found := map[string]string{}
	for _, file := range files {
		found[file.Name()] = "sha256:" + file.SHA256
	}
	return found
}

// released wants one release, of all that was signed.
func (w *nights) released(signed string) {
	w.Helper()
	listed, err := artifact.Sums(signed)
	if err != nil {
		w.Fatal(err)
	}
	releases := w.github.Releases(ours)
	if len(releases) != 1 || releases[0].Draft || releases[0].Tag != fmt.Sprintf("v%s-%d", w.version, w.source.Release) {
		w.Fatalf("the releases are %+v", releases)
	}
	assets := map[string]string{}
	for _, asset := range releases[0].Assets {
		assets[asset.Name] = asset.Digest
	}
	w.want("the uploads", fmt.Sprint(w.github.Count("^POST /uploads/")), fmt.Sprint(len(assets)))
	if diff := cmp.Diff(w.digests(signed), assets); diff != "" || len(assets) != len(listed)+2 {
		w.Errorf("%d files are listed, and two list them; what was signed, and what is released:\n%s", len(listed), diff)
	}
	if !strings.Contains(releases[0].Notes, strings.TrimSpace(w.table)) {
		w.Errorf("the notes lack the table of results\n%s\nthey are:\n%s", w.table, releases[0].Notes)
	}
}

// published wants a repository that is what its signed ledger says, with all
// packages that were signed.
func (w *nights) published(dist string) {
	w.Helper()
	ledger, err := repo.Load(filepath.Join(dist, "repo"), sign.NewKeyring(w.key.signer.Certificate()))
	if err != nil {
		w.Fatal(err)
	}
	there := map[string]string{}
	for _, file := range ledger.Files {
		sum, _, err := artifact.Digest(filepath.Join(dist, "repo", filepath.FromSlash(file.Path)))
		if err != nil || sum != file.SHA256 {
			w.Errorf("%s is %s, not %s: %v", file.Path, sum, file.SHA256, err)
		}
		there[file.Name()] = "sha256:" + sum
	}
	for name, digest := range w.digests(filepath.Join(dist, "signed", w.version)) {
		if (strings.HasSuffix(name, ".deb") || strings.HasSuffix(name, ".rpm")) && there[name] != digest {
			w.Errorf("of %s there is %q in the repository, not %s", name, there[name], digest)
		}
	}
}

// serve brings a tree to the web host.
func (w *nights) serve(tree string) {
	w.Helper()
	if err := os.Rename(tree, filepath.Join(w.place, "site")); err != nil {
		w.Fatal(err)
	}
}
