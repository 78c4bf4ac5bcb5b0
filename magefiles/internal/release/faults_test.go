package release

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/artifact"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/hub"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/hub/hubtest"
)

// GitHub limps in every way, at every kind of call. Whatever a run made of it,
// one more run ends in the one whole release.
func TestFaults(t *testing.T) {
	const deb = `^POST /uploads/.*name=spire-agent_1\.13\.3-1_amd64\.deb$`
	for call, match := range map[string]string{
		"any":     "",
		"list":    `^GET .*/releases\?`,
		"tags":    `^GET .*/tags\?`,
		"create":  `^POST /repos/.*/releases$`,
		"look":    `^GET .*/assets\?`,
		"upload":  `^POST /uploads/`,
		"deb":     deb,
		"publish": `^PATCH `,
		"latest":  `^GET .*/releases/latest`,
	} {
		for fault, effect := range map[string]hubtest.Effect{
			"500":           hubtest.Status(500),
			"502, stored":   hubtest.Stored(502),
			"reset":         hubtest.Reset(),
			"reset, stored": hubtest.StoredReset(),
			"half answer":   hubtest.Truncate(),
			"slow answer":   hubtest.Slow(time.Millisecond),
			"403":           hubtest.RetryAfter(403, 0),
			"429":           hubtest.RetryAfter(429, 0),
			"cut":           hubtest.CutUpload(100_000),
		} {
			if fault == "cut" && call != "deb" {
				continue
			}
			for name, times := range map[string][2]int{"once": {0, 1}, "thrice, late": {1, 3}, "always": {0, -1}} {
				t.Run(call+" "+fault+" "+name, func(t *testing.T) {
					t.Parallel()
					s := newScene(t)
					s.release.Hub = impatientHub(t, s.server.API())
					s.server.Fail(hubtest.Fault{Match: match, Skip: times[0], Times: times[1], Do: effect})
					_, err := s.release.publish(t.Context(), impatient)
					if err != nil && name == "once" {
						t.Errorf("one fault is not got over: %v", err)
					}
					s.server.Heal()
					s.publish()
					s.again()
				})
			}
		}
	}
}

// impatientHub makes few attempts, so that the rounds have something to do.
func impatientHub(t testing.TB, api string) *hub.Repository {
	t.Helper()
	at, err := hub.Open(hub.Settings{Token: hubtest.Token, API: api, Log: t.Output(), Pause: time.Millisecond, Attempts: 2}, repository)
	must(t, err)
	return at
}

// GitHub says how long to wait, and is believed.
func TestRetryAfter(t *testing.T) {
	s := newScene(t)
	s.server.Fail(hubtest.Fault{Match: "^POST /uploads/", Do: hubtest.RetryAfter(403, 2*time.Second)})
	start := time.Now()
	s.publish()
	if took := time.Since(start); took < 2*time.Second {
		t.Errorf("it took only %s", took)
	}
	s.again()
}

// Somebody deletes the draft, at any moment.
func TestDraftDeleted(t *testing.T) {
	for _, at := range []string{`^GET .*/releases/[0-9]+$`, "^GET .*/assets", "^POST /uploads/", "^PATCH ", `^GET .*/tags\?`} {
		for skip := range 3 {
			t.Run(fmt.Sprint(at, skip), func(t *testing.T) {
				s := newScene(t)
				s.server.Fail(hubtest.Fault{Match: at, Skip: skip, Do: hubtest.Then("draft deleted", func() { s.server.DeleteDrafts(repository) })})
				s.publish()
				s.again()
			})
		}
	}
}

// A token that may only read is told so, at once.
func TestRights(t *testing.T) {
	for token, want := range map[string]string{hubtest.ReadToken: "contents: write", "": "GITHUB_TOKEN", "wrong": "GITHUB_TOKEN"} {
		s := newScene(t)
		at, err := hub.Open(hub.Settings{Token: token, API: s.server.API(), Pause: time.Millisecond}, repository)
		must(t, err)
		s.release.Hub = at
		_, err = s.release.publish(t.Context(), patience{breath: time.Hour})
		if err == nil || !strings.Contains(err.Error(), want) || len(s.server.Releases(repository)) > 0 {
			t.Errorf("%q: %v", token, err)
		}
	}
}

// Two runs on two machines end in one release, whichever call comes first.
func TestTwoRuns(t *testing.T) {
	for n := range 20 {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			s := newScene(t)
			s.server.Immutable(repository, n%2 == 0)
			random := rand.New(rand.NewPCG(uint64(n), 2))
			var wait sync.WaitGroup
			for range 2 {
				other := s.release
				other.Locks = artifact.Dist(t.TempDir())
				pause := time.Duration(random.IntN(20)) * time.Millisecond
				wait.Go(func() {
					time.Sleep(pause)
					if _, err := other.publish(context.WithoutCancel(t.Context()), patience{breath: 2 * time.Millisecond, grace: time.Minute}); err != nil {
						t.Error(err)
					}
				})
			}
			wait.Wait()
			s.whole()
			s.again()
		})
	}
}

// Another run publishes everything, for good, before this one's uploads.
func TestLocked(t *testing.T) {
	s := newScene(t)
	s.server.Immutable(repository, true)
	waits := patience{breath: time.Millisecond, grace: time.Minute}
	other := s.release
	other.Locks = artifact.Dist(t.TempDir())
	s.server.Fail(hubtest.Fault{Match: "^POST /uploads/", Do: hubtest.Then("the other run", func() {
		if _, err := other.publish(t.Context(), waits); err != nil {
			t.Error(err)
		}
	})})
	_, err := s.release.publish(t.Context(), waits)
	must(t, err)
	if s.server.Count("^POST /uploads/.* 422") == 0 {
		t.Error("no upload came late")
	}
	s.again()
}

// Another run has made a draft of its own, which this one did not see, and
// publishes first.
func TestOvertaken(t *testing.T) {
	s := newScene(t)
	s.server.Fail(hubtest.Fault{Match: "^PATCH ", Do: hubtest.Then("overtaken", func() {
		draft := s.server.Releases(repository)[0]
		winner := draft
		winner.ID, winner.Draft, winner.Latest, winner.Assets = 1, false, true, nil
		s.server.AddRelease(repository, winner)
		s.server.SetTag(repository, winner.Tag, commit)
		for _, asset := range draft.Assets {
			content, err := s.server.Content(asset.ID)
			if err != nil {
				t.Error(err)
			}
			asset.ID = 0
			s.server.AddAsset(repository, winner.ID, asset, content)
		}
	})})
	s.publish()
	if n := s.server.Count("^PATCH .* 422"); n != 1 {
		t.Errorf("it was overtaken %d times", n)
	}
	s.again()
}

// Both list before either makes its draft.
func TestTwoDrafts(t *testing.T) {
	s := newScene(t)
	var met sync.WaitGroup
	met.Add(2)
	s.server.Fail(hubtest.Fault{Match: `^POST /repos/.*/releases$`, Times: 2, Do: hubtest.Then("both make one", func() {
		met.Done()
		met.Wait()
	})})
	var wait sync.WaitGroup
	for range 2 {
		other := s.release
		other.Locks = artifact.Dist(t.TempDir())
		wait.Go(func() {
			if _, err := other.publish(context.WithoutCancel(t.Context()), patience{breath: 2 * time.Millisecond, grace: time.Minute}); err != nil {
				t.Error(err)
			}
		})
	}
	wait.Wait()
	if n := s.server.Count("^POST /repos/.*/releases 201"); n != 2 {
		t.Errorf("%d drafts were made", n)
	}
	if n := s.server.Count("^PATCH .* 422"); n != 0 {
		t.Error("both were filled")
	}
	s.again()
}

// killVariable makes this test program a run that is to be killed.
const killVariable = "SPIRE_RELEASE_KILL"

// victim is what such a run needs to know.
type victim struct{ API, Dir, Locks string }

func TestMain(m *testing.M) {
	if line := os.Getenv(killVariable); line != "" {
		must := func(err error) {
			if err != nil {
				fmt.Fprintln(os.Stderr, err)
				os.Exit(1)
			}
		}
		var v victim
		must(json.Unmarshal([]byte(line), &v))
		at, err := hub.Open(hub.Settings{Token: hubtest.Token, API: v.API, Log: os.Stderr, Pause: time.Millisecond}, repository)
		must(err)
		r := Release{Hub: at, Source: spire, Number: 1, Commit: commit, Dir: v.Dir, Notes: notesOf("1.13.3"), Locks: artifact.Dist(v.Locks), Log: os.Stderr}
		_, err = r.publish(context.Background(), impatient)
		must(err)
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// A run is killed at 40 random moments; the next one finishes its work, in the
// same folder, and waits for no lock.
func TestKilled(t *testing.T) {
	calls := func() int {
		s := newScene(t)
		s.publish()
		return len(s.server.Calls())
	}()
	random := rand.New(rand.NewPCG(6, 6))
	var died, cut, late int
	for n := range 40 {
		skip, pause := random.IntN(calls), time.Duration(random.IntN(4000))*time.Microsecond
		t.Run(fmt.Sprintf("%d at call %d", n, skip), func(t *testing.T) {
			s := newScene(t)
			line, err := json.Marshal(victim{s.server.API(), s.release.Dir, string(s.release.Locks)})
			must(t, err)
			child := exec.CommandContext(t.Context(), "/proc/self/exe")
			child.Env = append(os.Environ(), killVariable+"="+string(line))
			child.Stderr = t.Output()
			kill := func() {
				time.Sleep(pause)
				_ = child.Process.Kill()
			}
			// Half of them while the call is on its way, the others after it.
			do := hubtest.Then("killed", kill)
			if n%2 == 1 {
				do = hubtest.Then("killed soon", func() { go kill() })
			}
			s.server.Fail(hubtest.Fault{Skip: skip, Do: do})
			must(t, child.Start())
			if err := child.Wait(); err != nil && strings.Contains(err.Error(), "killed") {
				died++
			}
			s.server.Heal()
			for _, release := range s.server.Releases(repository) {
				if !release.Draft {
					late++
				} else if slices.ContainsFunc(release.Assets, func(a hubtest.Asset) bool { return a.State == hubtest.Starter }) {
					cut++
				}
			}
			s.publish()
			s.again()
		})
	}
	t.Logf("%d were killed, %d of them in an upload, %d after the publication", died, cut, late)
	if died < 30 || cut == 0 || late == 0 || died == cut+late {
		t.Error("that is not all kinds of moments")
	}
}

// What this run's own upload has left is replaced at once; nobody else is at it.
func TestCut(t *testing.T) {
	s := newScene(t)
	at, err := hub.Open(hub.Settings{Token: hubtest.Token, API: s.server.API(), Pause: time.Millisecond, Attempts: 1}, repository)
	must(t, err)
	s.release.Hub = at
	s.server.Fail(hubtest.Fault{Match: `^POST /uploads/.*name=spire-agent_1\.13\.3-1_amd64\.deb$`, Do: hubtest.CutUpload(100_000)})
	_, err = s.release.publish(t.Context(), patience{breath: time.Millisecond, grace: time.Hour})
	must(t, err)
	if n := s.server.Count("^DELETE .*/releases/assets/"); n != 1 {
		t.Errorf("%d assets were removed", n)
	}
	s.again()
}
