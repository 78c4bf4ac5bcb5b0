package release

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/artifact"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/hub"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/hub/hubtest"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pkgdef"
)

const (
	repository     = "spiffe-experimental/spire-packages"
	commit         = "0123456789abcdef0123456789abcdef01234567"
	upstreamCommit = "191c76b489656502ff946afb486b47b83a376e81"
	fingerprint    = "AB8D1C5F7B1D2C3E4F5061728394A5B6C7D8E9F0"
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// impatient waits for nobody: what is not whole was left behind.
var impatient = patience{breath: time.Millisecond}

// names are some of the files of a version, of each kind.
func names(version string, number int) []string {
	var all []string
	for _, form := range []string{
		"spire-agent_V-R_amd64.deb", "spire-agent-V-R.x86_64.rpm", "spire-agent_V-R_amd64.deb.cdx.json", "spire-agent-V-R.x86_64.rpm.spdx.json",
		"spire_V-R.dsc", "spire_V-R_source.changes", "spire_V-R.debian.tar.xz", "spire_V.orig.tar.xz", "spire-V-R.src.rpm",
		"spire_V-R_amd64.build.json", "spire_V-R_amd64.buildinfo", "spire_V-R.intoto.json",
	} {
		all = append(all, strings.NewReplacer("V", version, "R", fmt.Sprint(number)).Replace(form))
	}
	return all
}

// folder makes a signed folder. Its files are the same whenever it is made; most
// are small, as such a folder's are.
func folder(t testing.TB, version string, number int) string {
	t.Helper()
	dir := t.TempDir()
	for i, name := range names(version, number) {
		content := bytes.Repeat([]byte(name), 1+rand.New(rand.NewPCG(uint64(i), 1)).IntN(20))
		if filepath.Ext(name) == ".deb" {
			content = bytes.Repeat(content, 20_000) // more than fits into the buffers between client and server
		}
		must(t, os.WriteFile(filepath.Join(dir, name), content, 0o644))
	}
	seal(t, dir)
	return dir
}

// seal writes the checksums of all files of a folder, and what stands for their signature.
func seal(t testing.TB, dir string) {
	t.Helper()
	for _, name := range []string{artifact.SumsName, artifact.SumsSignature} {
		must(t, os.RemoveAll(filepath.Join(dir, name)))
	}
	files, err := artifact.Describe(dir)
	must(t, err)
	must(t, artifact.WriteSums(dir, files))
	sums, err := os.ReadFile(filepath.Join(dir, artifact.SumsName))
	must(t, err)
	must(t, os.WriteFile(filepath.Join(dir, artifact.SumsSignature), append([]byte("signed: "), sums[:64]...), 0o644))
}

// releaseOf is the release of a folder.
func releaseOf(t testing.TB, api, dir, version string, number int) Release {
	t.Helper()
	at, err := hub.Open(hub.Settings{Token: hubtest.Token, API: api, Log: t.Output(), Pause: time.Millisecond}, repository)
	must(t, err)
	return Release{
		Hub: at, Source: spire, Number: number, Commit: commit, Dir: dir, Locks: artifact.Dist(t.TempDir()), Log: t.Output(),
		Notes: notesOf(version),
	}
}

// spire is the source that is released.
var spire = pkgdef.Source{Name: "spire", Main: true, Title: "SPIRE", Repository: "https://github.com/spiffe/spire", Changelog: "CHANGELOG.md"}

func notesOf(version string) Notes {
	return Notes{
		Tree: artifact.Tree{Version: version, Commit: upstreamCommit, Sum: "h1:wDTK8tj8ShO5izjue/OFanVaehmjUxSxHtSWxBY+FJQ=", Verified: true},
		Key:  fingerprint,
	}
}

// scene is a fake GitHub and a folder to release there.
type scene struct {
	testing.TB
	server  *hubtest.Server
	release Release
}

func newScene(t testing.TB) scene {
	t.Helper()
	server := hubtest.New(t)
	server.Repository(repository)
	return scene{t, server, releaseOf(t, server.API(), folder(t, "1.13.3", 1), "1.13.3", 1)}
}

// publish wants it to go well.
func (s scene) publish() Report {
	s.Helper()
	report, err := s.release.publish(s.Context(), impatient)
	if err != nil {
		for _, call := range s.server.Calls() {
			s.Log(call)
		}
		s.Fatal(err)
	}
	return report
}

// refused wants that nothing is done, and gives the error.
func (s scene) refused() string {
	s.Helper()
	before := s.server.Releases(repository)
	s.server.Forget()
	_, err := s.release.publish(s.Context(), impatient)
	if err == nil {
		s.Fatal("it was not refused")
	}
	for _, call := range s.server.Calls() {
		if call.Writes() {
			s.Errorf("it changes something: %s", call)
		}
	}
	if diff := cmp.Diff(before, s.server.Releases(repository)); diff != "" {
		s.Errorf("it has changed something (-before +after):\n%s", diff)
	}
	return err.Error()
}

// shown is a release as people see it, without what differs from run to run.
type shown struct {
	Tag, Target, Title, Notes, At string
	Latest                        bool
	Files                         []string
}

// state is all that is there.
func (s scene) state() []shown {
	s.Helper()
	var all []shown
	for _, release := range s.server.Releases(repository) {
		one := shown{Tag: release.Tag, Target: release.Target, Title: release.Title, Notes: release.Notes, Latest: release.Latest}
		for _, tag := range s.server.Tags(repository) {
			if tag.Name == release.Tag && !release.Draft {
				one.At = tag.Commit
			}
		}
		for _, asset := range release.Assets {
			one.Files = append(one.Files, strings.Join([]string{asset.Name, asset.State, asset.Digest, asset.ContentType}, " "))
		}
		all = append(all, one)
	}
	return all
}

// want is the state that every run ends in.
func (s scene) want() []shown {
	s.Helper()
	r := s.release
	files, err := listed(r.Dir)
	must(s, err)
	text, err := r.notes(files)
	must(s, err)
	one := shown{
		Tag: r.tag(), Target: commit, Title: "SPIRE " + strings.TrimPrefix(r.tag(), "v"), Notes: text, At: commit, Latest: true,
	}
	for _, file := range files {
		one.Files = append(one.Files, strings.Join([]string{file.Name(), "uploaded", "sha256:" + file.SHA256, mediaType(file.Name())}, " "))
	}
	slices.Sort(one.Files)
	return []shown{one}
}

// whole wants exactly the one whole release.
func (s scene) whole() {
	s.Helper()
	got := s.state()
	for i := range got {
		slices.Sort(got[i].Files)
	}
	if diff := cmp.Diff(s.want(), got); diff != "" {
		s.Errorf("the release is not as it shall be (-want +got):\n%s", diff)
	}
	if leaks := s.server.Leaks(); len(leaks) > 0 {
		s.Errorf("the token was sent elsewhere: %v", leaks)
	}
}

// again wants that there is nothing left to do.
func (s scene) again() {
	s.Helper()
	s.server.Heal()
	s.server.Forget()
	report := s.publish()
	if n := s.server.Count(`^(POST|PATCH|DELETE|PUT)`); n > 0 || report.Uploaded > 0 || report.Published {
		s.Errorf("a further run makes %d changes: %+v", n, report)
	}
	s.whole()
}
