package release

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/artifact"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/golden"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/hub/hubtest"
)

// A release is made, with all files, and published by the last change; a second
// run finds it whole.
func TestPublish(t *testing.T) {
	s := newScene(t)
	report := s.publish()
	if report.Uploaded != 14 || report.Present != 0 || !report.Published || !strings.HasSuffix(report.Address, "/releases/tag/v1.13.3-1") {
		t.Errorf("%+v", report)
	}
	s.whole()
	var writes []hubtest.Call
	for _, call := range s.server.Calls() {
		if call.Writes() {
			writes = append(writes, call)
		}
	}
	if len(writes) != 16 || writes[0].Method != http.MethodPost || writes[15].Method != http.MethodPatch {
		t.Errorf("the changes are %v", writes)
	}
	s.again()
}

// The last look at the files comes after the last upload, and before the publication.
func TestLooksBeforePublishing(t *testing.T) {
	s := newScene(t)
	s.publish()
	looked := false
	for _, call := range s.server.Calls() {
		switch {
		case call.Method == http.MethodGet && strings.Contains(call.Path, "/assets?"):
			looked = true
		case strings.HasPrefix(call.Path, "/uploads/"):
			looked = false
		case call.Method == http.MethodPatch:
			if !looked {
				t.Errorf("nobody looked at the files before %s", call)
			}
		}
	}
}

func TestProgress(t *testing.T) {
	s := newScene(t)
	var log strings.Builder
	s.release.Log = &log
	s.publish()
	for _, want := range []string{"uploaded 1 of 14: ", "uploaded 14 of 14: ", ": spire-agent_1.13.3-1_amd64.deb, 1.8 MB, "} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("the log has no %q:\n%s", want, &log)
		}
	}
}

// A dry run says what it would do, and does nothing.
func TestDryRun(t *testing.T) {
	for name, before := range map[string]func(scene){
		"nothing is there": func(scene) {},
		"half is there": func(s scene) {
			id := s.server.AddRelease(repository, hubtest.Release{ID: 1, Tag: "v1.13.3-1", Draft: true, Notes: "x\n" + ours})
			s.server.AddRelease(repository, hubtest.Release{ID: 2, Tag: "v1.13.3-1", Draft: true, Notes: "x\n" + ours})
			s.server.AddRelease(repository, hubtest.Release{ID: 3, Tag: "v1.14.0-1", Latest: true})
			for i, name := range []string{"SHA256SUMS", "SHA256SUMS.asc", "spire-agent-1.13.3-1.x86_64.rpm"} {
				content, err := os.ReadFile(filepath.Join(s.release.Dir, name))
				must(s, err)
				s.server.AddAsset(repository, id, hubtest.Asset{ID: int64(10 + i), Name: name}, content)
			}
			s.server.AddAsset(repository, id, hubtest.Asset{ID: 20, Name: "spire_1.13.3-1.dsc", State: hubtest.Starter}, nil)
		},
		"all is there": func(s scene) { s.publish() },
	} {
		t.Run(name, func(t *testing.T) {
			s := newScene(t)
			before(s)
			s.server.Forget()
			var log strings.Builder
			s.release.Log, s.release.DryRun = &log, true
			report := s.publish()
			if n := s.server.Count(`^(POST|PATCH|DELETE|PUT)`); n > 0 {
				t.Errorf("it made %d calls that change something", n)
			}
			report.Took = 0
			report.Print(&log)
			golden.Check(t, "dry-run "+name+".golden", sorted(log.String()))
		})
	}
}

// sorted puts the lines about uploads, which are made side by side, in order.
func sorted(log string) string {
	lines := strings.SplitAfter(log, "\n")
	for range lines {
		for i := 1; i < len(lines); i++ {
			a, b := &lines[i-1], &lines[i]
			if strings.Contains(*a, "/assets: ") && strings.Contains(*b, "/assets: ") && *b < *a {
				*a, *b = *b, *a
			}
		}
	}
	return strings.Join(lines, "")
}

// What is there with other bytes, or another name, stops everything.
func TestRefused(t *testing.T) {
	const deb = "spire-agent_1.13.3-1_amd64.deb"
	other := artifact.DigestBytes([]byte("other"))
	for name, c := range map[string]struct {
		asset hubtest.Asset
		want  []string
	}{
		"other bytes":                     {hubtest.Asset{Name: deb}, []string{deb, other}},
		"other bytes, no digest":          {hubtest.Asset{Name: deb, Digest: "none"}, []string{deb, other}},
		"a digest of another kind":        {hubtest.Asset{Name: deb, Digest: "sha512:00"}, []string{deb, other}},
		"a file of nobody":                {hubtest.Asset{Name: "evil.deb"}, []string{"evil.deb"}},
		"a file of another version":       {hubtest.Asset{Name: "spire-agent_1.13.2-1_amd64.deb"}, []string{"spire-agent_1.13.2-1_amd64.deb"}},
		"a half file of nobody":           {hubtest.Asset{Name: "evil.deb", State: hubtest.Starter}, []string{"evil.deb"}},
		"a name with a path":              {hubtest.Asset{Name: "../../x"}, []string{`"../../x"`}},
		"a name with a command":           {hubtest.Asset{Name: "v1.0.0;id"}, []string{`"v1.0.0;id"`}},
		"a name with a line end":          {hubtest.Asset{Name: deb + "\n"}, []string{`_amd64.deb\n"`}},
		"a name that looks alike":         {hubtest.Asset{Name: "spire-аgent.deb"}, []string{`"spire-\u0430gent.deb"`}},
		"a name that turns the direction": {hubtest.Asset{Name: "spire\u202egnp.deb"}, []string{`"spire\u202egnp.deb"`}},
		"a name that is long":             {hubtest.Asset{Name: strings.Repeat("x", 4096)}, []string{`"` + strings.Repeat("x", 80) + `"`}},
		"an option":                       {hubtest.Asset{Name: "-rf"}, []string{`"-rf"`}},
		"no name":                         {hubtest.Asset{Name: ""}, []string{`""`}},
	} {
		for state, draft := range map[string]bool{"draft": true, "published": false} {
			t.Run(name+" in a "+state, func(t *testing.T) {
				s := newScene(t)
				id := s.server.AddRelease(repository, hubtest.Release{Tag: "v1.13.3-1", Target: commit, Draft: draft})
				s.server.AddAsset(repository, id, c.asset, []byte("other"))
				got := s.refused()
				for _, want := range append(c.want, "v1.13.3-1", "Nothing was changed") {
					if !strings.Contains(got, want) {
						t.Errorf("the error does not have %q:\n%s", want, got)
					}
				}
				if len(got) > 1500 {
					t.Errorf("the error has %d bytes", len(got))
				}
			})
		}
	}
}

// The digests that are named are both.
func TestBothDigests(t *testing.T) {
	s := newScene(t)
	s.publish()
	const name = "spire_1.13.3-1.dsc"
	old, _, err := artifact.Digest(filepath.Join(s.release.Dir, name))
	must(t, err)
	must(t, os.WriteFile(filepath.Join(s.release.Dir, name), []byte("changed"), 0o644))
	seal(t, s.release.Dir)
	got := s.refused()
	for _, want := range []string{name + " has other bytes there: its digest is sha256:" + old + ", not sha256:" + artifact.DigestBytes([]byte("changed")), "SHA256SUMS has other bytes", "raise `release`"} {
		if !strings.Contains(got, want) {
			t.Errorf("the error does not have %q:\n%s", want, got)
		}
	}
}

// A published release that lacks a file gets it, unless it is locked.
func TestLacks(t *testing.T) {
	const deb = "spire-agent_1.13.3-1_amd64.deb"
	half := func(s scene, locked bool) {
		content := func(name string) []byte {
			read, err := os.ReadFile(filepath.Join(s.release.Dir, name))
			must(s, err)
			return read
		}
		text, err := s.release.notes(nil)
		must(s, err)
		id := s.server.AddRelease(repository, hubtest.Release{Tag: "v1.13.3-1", Target: commit, Title: "SPIRE 1.13.3-1", Notes: text, Latest: true, Immutable: locked})
		s.server.SetTag(repository, "v1.13.3-1", commit)
		for _, name := range append(names("1.13.3", 1), artifact.SumsName, artifact.SumsSignature) {
			if name != deb {
				s.server.AddAsset(repository, id, hubtest.Asset{Name: name, ContentType: mediaType(name)}, content(name))
			}
		}
	}
	t.Run("open", func(t *testing.T) {
		s := newScene(t)
		half(s, false)
		if report := s.publish(); report.Uploaded != 1 || report.Present != 13 || report.Published {
			t.Errorf("%+v", report)
		}
		if got, want := len(s.state()[0].Files), 14; got != want || len(s.state()) != 1 {
			t.Errorf("%d files, not %d", got, want)
		}
		if n := s.server.Count("^PATCH"); n > 0 {
			t.Error("what is published was changed")
		}
	})
	t.Run("locked", func(t *testing.T) {
		s := newScene(t)
		half(s, true)
		got := s.refused()
		for _, want := range []string{deb, "immutable", "cannot be repaired", "Raise `release`", "1.13.3-2"} {
			if !strings.Contains(got, want) {
				t.Errorf("the error does not have %q:\n%s", want, got)
			}
		}
	})
}

// A release that locks is the ordinary case.
func TestImmutable(t *testing.T) {
	s := newScene(t)
	s.server.Immutable(repository, true)
	s.publish()
	s.again()
}

// What cut uploads left is replaced, once nobody can be at it.
func TestStarter(t *testing.T) {
	s := newScene(t)
	id := s.server.AddRelease(repository, hubtest.Release{Tag: "v1.13.3-1", Draft: true, Notes: "x\n" + ours})
	for _, name := range names("1.13.3", 1)[:5] {
		s.server.AddAsset(repository, id, hubtest.Asset{Name: name, State: hubtest.Starter}, nil)
	}
	report := s.publish()
	if n := s.server.Count("^DELETE .*/releases/assets/"); n != 5 || report.Uploaded != 14 {
		t.Errorf("%d were removed: %+v", n, report)
	}
	s.whole()
}

// An upload that another run is at is waited for.
func TestBusy(t *testing.T) {
	s := newScene(t)
	id := s.server.AddRelease(repository, hubtest.Release{Tag: "v1.13.3-1", Draft: true, Notes: "x\n" + ours})
	const name = "spire_1.13.3-1.dsc"
	content, err := os.ReadFile(filepath.Join(s.release.Dir, name))
	must(t, err)
	body, half := io.Pipe()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, fmt.Sprintf("%s/api/uploads/repos/%s/releases/%d/assets?name=%s", s.server.URL(), repository, id, name), body)
	must(t, err)
	request.ContentLength = int64(len(content))
	request.Header.Set("Authorization", "Bearer "+hubtest.Token)
	request.Header.Set("Content-Type", mediaType(name))
	ended := make(chan error, 1)
	go func() {
		response, err := http.DefaultClient.Do(request)
		if err == nil {
			err = response.Body.Close()
		}
		ended <- err
	}()
	_, err = half.Write(content[:1])
	must(t, err)
	for len(s.server.Releases(repository)[0].Assets) == 0 {
		time.Sleep(time.Millisecond)
	}
	looks := 0
	s.server.Fail(hubtest.Fault{Match: `^GET .*/assets\?`, Times: -1, Do: hubtest.Then("the other run ends its upload", func() {
		if looks++; looks == 3 {
			_, err := half.Write(content[1:])
			must(t, err)
			must(t, <-ended)
		}
	})})
	report, err := s.release.publish(t.Context(), patience{time.Millisecond, time.Minute})
	must(t, err)
	if report.Uploaded != 13 || s.server.Count("^DELETE") > 0 {
		t.Errorf("%+v", report)
	}
	s.whole()
}

// A GitHub that says no digests is asked for the files.
func TestNoDigests(t *testing.T) {
	s := newScene(t)
	id := s.server.AddRelease(repository, hubtest.Release{Tag: "v1.13.3-1", Draft: true, Notes: "x\n" + ours})
	for _, name := range names("1.13.3", 1)[:5] {
		content, err := os.ReadFile(filepath.Join(s.release.Dir, name))
		must(t, err)
		s.server.AddAsset(repository, id, hubtest.Asset{Name: name, Digest: "none"}, content)
	}
	if report := s.publish(); report.Uploaded != 9 {
		t.Errorf("%+v", report)
	}
	if n := s.server.Count("^GET /storage/"); n < 5 {
		t.Errorf("%d files were read", n)
	}
	if leaks := s.server.Leaks(); len(leaks) > 0 {
		t.Errorf("the token was sent elsewhere: %v", leaks)
	}
}

// The mark of the latest is the highest version's, whatever is released when.
func TestLatest(t *testing.T) {
	for name, c := range map[string]struct {
		there  []string // the last one has the mark
		want   string
		number int
	}{
		"the first":                     {nil, "v1.13.3-1", 1},
		"a higher one":                  {[]string{"v1.12.2-1"}, "v1.13.3-1", 1},
		"a lower one":                   {[]string{"v1.13.2-1", "v1.14.0-1"}, "v1.14.0-1", 1},
		"numbers, not words":            {[]string{"v1.9.0-1"}, "v1.13.3-1", 1},
		"a second packaging":            {[]string{"v1.13.3-1"}, "v1.13.3-2", 2},
		"a tenth packaging":             {[]string{"v1.13.3-9"}, "v1.13.3-10", 10},
		"a second packaging of a lower": {[]string{"v1.13.3-1", "v1.14.0-1"}, "v1.14.0-1", 2},
		"another's tags":                {[]string{"v9.9.9", "v1.14.0", "zzz", "v1.99.0-rc1"}, "v1.13.3-1", 1},
		"the mark was wrong":            {[]string{"v1.14.0-1", "v1.12.2-1"}, "v1.14.0-1", 1},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScene(t)
			for i, tag := range c.there {
				s.server.AddRelease(repository, hubtest.Release{Tag: tag, Latest: i == len(c.there)-1})
			}
			s.release.Number, s.release.Dir = c.number, folder(t, "1.13.3", c.number)
			s.publish()
			var got []string
			for _, release := range s.server.Releases(repository) {
				if release.Latest {
					got = append(got, release.Tag)
				}
			}
			if len(got) != 1 || got[0] != c.want {
				t.Errorf("the mark is at %v, not %s", got, c.want)
			}
			if n := s.server.Count("^PATCH"); name == "a lower one" && n != 1 {
				t.Errorf("the mark went astray: %d changes", n)
			}
		})
	}
}

// A tag that is there decides what people check out.
func TestTag(t *testing.T) {
	s := newScene(t)
	other := strings.Repeat("f", 40)
	s.server.SetTag(repository, "v1.13.3-1", other)
	_, err := s.release.publish(t.Context(), impatient)
	if err == nil || !strings.Contains(err.Error(), other) || !strings.Contains(err.Error(), commit) {
		t.Errorf("the error is %v", err)
	}
	if release := s.server.Releases(repository)[0]; !release.Draft {
		t.Error("it was published")
	}
	s.server.SetTag(repository, "v1.13.3-1", commit)
	s.publish()
	s.again()
}

// Of several drafts one stays.
func TestDrafts(t *testing.T) {
	made := hubtest.Release{Tag: "v1.13.3-1", Draft: true, Notes: "x\n" + ours}
	t.Run("ours", func(t *testing.T) {
		s := newScene(t)
		first := s.server.AddRelease(repository, made)
		s.server.AddRelease(repository, made)
		s.server.AddRelease(repository, made)
		s.publish()
		if got := s.server.Releases(repository)[0].ID; got != first {
			t.Errorf("%d is left, not %d", got, first)
		}
		s.again()
	})
	t.Run("beside what is published", func(t *testing.T) {
		s := newScene(t)
		s.server.AddRelease(repository, made)
		s.publish()
		for _, id := range []int64{1, 5000} { // older, and younger
			late := made
			late.ID = id
			s.server.AddRelease(repository, late)
		}
		s.publish()
		s.again()
	})
	t.Run("somebody's", func(t *testing.T) {
		s := newScene(t)
		s.server.AddRelease(repository, made)
		s.server.AddRelease(repository, hubtest.Release{Tag: "v1.13.3-1", Draft: true, Notes: "my own words"})
		if got := s.refused(); !strings.Contains(got, "two releases with the tag v1.13.3-1") {
			t.Error(got)
		}
	})
}

// A release and its list may have more than a page.
func TestPages(t *testing.T) {
	s := newScene(t)
	for i := range 130 {
		s.server.AddRelease(repository, hubtest.Release{Tag: "other" + strings.Repeat("x", i)})
	}
	for i := range 150 {
		must(t, os.WriteFile(filepath.Join(s.release.Dir, "more"+strings.Repeat("x", i)+".json"), []byte{byte(i + 1)}, 0o644))
	}
	seal(t, s.release.Dir)
	if report := s.publish(); report.Uploaded != 164 {
		t.Errorf("%+v", report)
	}
	if report := s.publish(); report.Uploaded != 0 || len(s.server.Releases(repository)) != 131 {
		t.Errorf("%+v", report)
	}
}

// What must not be released is refused before anybody is asked.
func TestCheck(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*Release)
		want   string
	}{
		"version":         {func(r *Release) { r.Notes.Tree.Version = "1.13" }, `"v1.13-1"`},
		"hostile version": {func(r *Release) { r.Notes.Tree.Version = "1.13.3;id" }, `"v1.13.3;id-1"`},
		"line end":        {func(r *Release) { r.Notes.Tree.Version = "1.13.3\n" }, `"v1.13.3\n-1"`},
		"number":          {func(r *Release) { r.Number = 0 }, `"v1.13.3-0"`},
		"not verified":    {func(r *Release) { r.Notes.Tree.Verified = false }, "1.13.3~unverified is not released"},
		"no sum":          {func(r *Release) { r.Notes.Tree.Sum = "" }, "nobody vouches"},
		"upstream commit": {func(r *Release) { r.Notes.Tree.Commit = "" }, "upstream commit"},
		"commit":          {func(r *Release) { r.Commit = "main" }, `commit is "main"`},
		"no signature":    {func(r *Release) { r.Notes.Key = "" }, "nobody has signed"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScene(t)
			c.change(&s.release)
			if got := s.refused(); !strings.Contains(got, c.want) {
				t.Error(got)
			}
			if calls := s.server.Calls(); len(calls) > 0 {
				t.Errorf("somebody was asked: %v", calls)
			}
		})
	}
}

// Only a whole signed folder is released.
func TestListed(t *testing.T) {
	const deb = "spire-agent_1.13.3-1_amd64.deb"
	for name, c := range map[string]struct {
		change func(dir string) error
		want   string
	}{
		"no checksums":     {func(dir string) error { return os.Remove(filepath.Join(dir, artifact.SumsName)) }, "`sign` makes the folder"},
		"no signature":     {func(dir string) error { return os.Remove(filepath.Join(dir, artifact.SumsSignature)) }, artifact.SumsSignature + " is not there"},
		"a file less":      {func(dir string) error { return os.Remove(filepath.Join(dir, deb)) }, deb + " is not there"},
		"a file more":      {func(dir string) error { return os.WriteFile(filepath.Join(dir, "more.deb"), []byte("x"), 0o644) }, "more.deb is not in SHA256SUMS"},
		"other bytes":      {func(dir string) error { return os.WriteFile(filepath.Join(dir, deb), []byte("x"), 0o644) }, deb + " has the SHA-256"},
		"an empty file":    {func(dir string) error { return os.Truncate(filepath.Join(dir, artifact.SumsSignature), 0) }, "0 bytes"},
		"a name to change": {func(dir string) error { return os.WriteFile(filepath.Join(dir, "a~b"), []byte("x"), 0o644) }, `"a~b" is not the name`},
		"no folder":        {os.RemoveAll, "no such file"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScene(t)
			must(t, c.change(s.release.Dir))
			if got := s.refused(); !strings.Contains(got, c.want) {
				t.Error(got)
			}
		})
	}
}

// One run at a time works at a version on one machine, and a killed one leaves
// no lock.
func TestLock(t *testing.T) {
	s := newScene(t)
	lock := artifact.Dist(s.release.Locks.Work("release", "v1.13.3-1"))
	unlock, err := lock.Lock(t.Context(), t.Output())
	must(t, err)
	ended := make(chan error, 1)
	go func() {
		_, err := s.release.publish(t.Context(), impatient)
		ended <- err
	}()
	time.Sleep(300 * time.Millisecond)
	if calls := s.server.Calls(); len(calls) > 0 {
		t.Errorf("it does not wait: %v", calls)
	}
	unlock()
	must(t, <-ended)
	s.again()
}

// The lock is held to the end.
func TestLockHeld(t *testing.T) {
	s := newScene(t)
	lock := artifact.Dist(s.release.Locks.Work("release", "v1.13.3-1"))
	s.server.Fail(hubtest.Fault{Match: "^PATCH ", Do: hubtest.Then("somebody wants the lock", func() {
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		if unlock, err := lock.Lock(ctx, t.Output()); err == nil {
			unlock()
			t.Error("the lock is free")
		}
	})})
	s.publish()
	unlock, err := lock.Lock(t.Context(), t.Output())
	must(t, err)
	unlock()
}

// A real signed folder, such as dist/signed/1.13.3, is released whole.
func TestSigned(t *testing.T) {
	dir := os.Getenv("SPIRE_TEST_SIGNED")
	if dir == "" {
		t.Skip("SPIRE_TEST_SIGNED names no folder that `sign` has made")
	}
	s := newScene(t)
	s.release.Dir, s.release.Notes = dir, notesOf(filepath.Base(dir))
	start := time.Now()
	s.publish()
	t.Logf("released in %s", time.Since(start))
	for _, asset := range s.server.Releases(repository)[0].Assets {
		got, err := s.server.Content(asset.ID)
		must(t, err)
		want, err := os.ReadFile(filepath.Join(dir, asset.Name))
		must(t, err)
		if !bytes.Equal(got, want) {
			t.Errorf("%s has other bytes there", asset.Name)
		}
	}
	s.again()
}
