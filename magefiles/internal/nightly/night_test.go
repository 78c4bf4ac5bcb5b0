package nightly

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/artifact"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/golden"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/hub"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/hub/hubtest"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pipeline"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/release"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/upstream"
)

// family is a server with the tags that the sources' repositories really had, and with a
// repository for releases. Who plans there asks no module proxy.
func family(t *testing.T) (*hubtest.Server, Planner) {
	t.Helper()
	t.Setenv("GOPROXY", "off")
	t.Setenv("GOMODCACHE", t.TempDir())
	server := hubtest.New(t)
	server.Repository("o/r")
	for file, repository := range map[string]string{"testdata/tags.txt": "", "../upstream/testdata/spire-tags.txt": "spiffe/spire"} {
		content, err := os.ReadFile(filepath.FromSlash(file))
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(content)) {
			switch f := strings.Fields(line); {
			case f[0] == "#":
			case repository != "": // TAG DAY COMMIT
				server.SetTag(repository, f[0], f[2])
			default:
				server.SetTag(f[0], f[1], f[2])
			}
		}
	}
	return server, Planner{
		Pipeline: pipeline.Pipeline{Root: root, Log: t.Output()}, Repository: "o/r", Arches: []string{"amd64"}, Server: server.URL(),
		Hub: hub.Settings{Token: hubtest.Token, API: server.API(), Server: server.URL(), Log: t.Output(), Pause: time.Millisecond, Attempts: 2},
	}
}

// Over the tags that there really are, what is due of each source, and why not, of those
// that wait in words.
func TestPlansOfTheFamily(t *testing.T) {
	server, p := family(t)
	plans, err := p.Plans(t.Context(), "")
	if err != nil || plans.Err() != nil {
		t.Fatalf("%v, alarms %v", err, plans.Err())
	}
	var said bytes.Buffer
	if err := plans.Print(&said); err != nil {
		t.Fatal(err)
	}
	golden.Check(t, "family.golden", strings.ReplaceAll(said.String(), server.URL(), "https://github.com"))
}

// A source whose repository does not answer keeps none of the others back.
func TestPlanWithoutOne(t *testing.T) {
	server, p := family(t)
	server.Fail(hubtest.Fault{Match: `^GET .*/ghostunnel/ghostunnel/tags`, Times: -1, Do: hubtest.Status(404)})
	plans, err := p.Plans(t.Context(), "")
	if err == nil || !strings.Contains(err.Error(), "planning ghostunnel: ") || strings.Contains(err.Error(), "planning spire") {
		t.Errorf("error %v", err)
	}
	for _, plan := range plans {
		if plan.Source.Name == "ghostunnel" || plan.Source.Waits == "" && len(plan.Versions()) == 0 {
			t.Errorf("of %s is due %v", plan.Source.Name, plan.Versions())
		}
	}
}

// Of two sources that are due in one night one fails, and the other goes out; the next
// night finishes the one, and does not touch the other.
func TestNightThatFailsForOne(t *testing.T) {
	server, p := family(t)
	const fails, goes = "spiffe-helper", "spire-controller-manager"
	night := func() error {
		return p.Pipeline.ForEach(pipeline.Options{Packages: []string{fails, goes}}, func(o pipeline.Options) error {
			plans, err := p.Plans(t.Context(), o.Source)
			if err != nil {
				return err
			}
			return releaseDue(t, p, plans[0])
		})
	}
	server.Fail(hubtest.Fault{Match: `^POST /uploads/.*name=spiffe-helper_.*deb`, Times: -1, Do: hubtest.Status(422)})
	if err := night(); err == nil || !strings.Contains(err.Error(), fails) || strings.Contains(err.Error(), goes) {
		t.Errorf("the first night: %v", err)
	}
	if got, want := why(t, p, fails), "half a release: spiffe-helper-v0.11.0-2 is a draft"; got != want {
		t.Errorf("%s: %s, not %s", fails, got, want)
	}
	if got := why(t, p, goes); got != "released whole" {
		t.Errorf("%s: %s", goes, got)
	}
	server.Heal()
	server.Forget()
	if err := night(); err != nil {
		t.Errorf("the next night: %v", err)
	}
	for _, call := range server.Calls() {
		if call.Writes() && strings.Contains(call.Path, goes) {
			t.Errorf("it changes what is done: %s", call)
		}
	}
	if got := why(t, p, fails); got != "released whole" {
		t.Errorf("%s: %s", fails, got)
	}
}

// why is what is said of the newest version of a source.
func why(t *testing.T, p Planner, source string) string {
	t.Helper()
	plans, err := p.Plans(t.Context(), source)
	if err != nil {
		t.Fatal(err)
	}
	return plans[0].Verdicts[0].Why
}

// releaseDue releases the newest version, if it is due, with files that are named as those
// of a build.
func releaseDue(t *testing.T, p Planner, plan upstream.Plan) error {
	t.Helper()
	newest := plan.Verdicts[0]
	if !newest.Due {
		return nil
	}
	to, err := hub.Open(p.Hub, p.Repository)
	if err != nil {
		return err
	}
	_, err = release.Release{
		Hub: to, Source: plan.Source, Number: plan.Source.Release, Commit: strings.Repeat("a", 40),
		Dir: signedFolder(t, p, plan), Locks: artifact.Dist(t.TempDir()), Log: t.Output(),
		Notes: release.Notes{Tree: artifact.Tree{Version: newest.Version, Commit: newest.Commit, Sum: "h1:x", Verified: true}, Key: strings.Repeat("A", 40)},
	}.Publish(t.Context())
	return err
}

// signedFolder has the files that the release of the plan's newest version has.
func signedFolder(t *testing.T, p Planner, plan upstream.Plan) string {
	t.Helper()
	rules, err := p.rules(plan.Source)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	put := func(name, content string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range rules.Expected(plan.Verdicts[0].Version, plan.Source.Release) {
		if name != artifact.SumsName && name != artifact.SumsSignature {
			put(name, "content of "+name)
		}
	}
	files, err := artifact.Describe(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := artifact.WriteSums(dir, files); err != nil {
		t.Fatal(err)
	}
	put(artifact.SumsSignature, "signed")
	return dir
}
