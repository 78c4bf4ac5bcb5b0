package hub

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/hub/hubtest"
)

const ours = "o/r"

// logged is a log that several goroutines write.
type logged struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logged) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// open makes a client that hurries.
func open(t *testing.T, s *hubtest.Server, change func(*Settings)) (*Repository, *logged) {
	t.Helper()
	log := new(logged)
	settings := Settings{Token: hubtest.Token, API: s.API(), Server: s.URL(), Log: log, Attempts: 4, Pause: time.Millisecond, Patience: 10 * time.Second}
	if change != nil {
		change(&settings)
	}
	s.Repository(ours)
	r, err := Open(settings, ours)
	if err != nil {
		t.Fatal(err)
	}
	return r, log
}

// hello is a file whose digest is helloDigest.
func hello(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, []byte("hello"), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

const helloDigest = "sha256:2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"

func TestLife(t *testing.T) {
	s := hubtest.New(t)
	r, log := open(t, s, nil)
	ctx := t.Context()
	draft, err := r.Create(ctx, Draft{Tag: "v1.0.0-1", Target: "c0ffee", Title: "One", Notes: "first"})
	if err != nil {
		t.Fatal(err)
	}
	asset, err := r.Upload(ctx, draft.ID, "a+b.deb", "application/vnd.debian.binary-package", hello(t))
	want := Asset{asset.ID, "a+b.deb", "application/vnd.debian.binary-package", Uploaded, helloDigest, 5}
	if diff := cmp.Diff(want, asset); diff != "" || err != nil {
		t.Errorf("uploaded (-want +got):\n%s%v", diff, err)
	}
	if _, err := r.Upload(ctx, draft.ID, "a+b.deb", "", hello(t)); !AlreadyExists(err) {
		t.Errorf("a second one: %v", err)
	}
	if digest, err := r.Digest(ctx, asset); digest != helloDigest || err != nil {
		t.Errorf("read back: %s %v", digest, err)
	}
	if _, err := r.Edit(ctx, draft.ID, Draft{Tag: "v1.0.0-1", Target: "c0ffee", Title: "Two", Notes: "second"}); err != nil {
		t.Error(err)
	}
	if _, err := r.Publish(ctx, draft.ID, true); err != nil {
		t.Error(err)
	}
	releases, err := r.Releases(ctx)
	if err != nil || len(releases) != 1 {
		t.Fatalf("%v %v", releases, err)
	}
	got := releases[0]
	if got.Draft || got.Title != "Two" || got.Notes != "second" || got.Tag != "v1.0.0-1" || got.Target != "c0ffee" || got.Published.IsZero() || len(got.Assets) != 1 {
		t.Errorf("published: %+v", got)
	}
	if tags, err := r.Tags(ctx); err != nil || !cmp.Equal(tags, []Tag{{"v1.0.0-1", "c0ffee"}}) {
		t.Errorf("tags: %v %v", tags, err)
	}
	for range 2 {
		if err := errors.Join(r.DeleteAsset(ctx, asset.ID), r.Delete(ctx, draft.ID)); err != nil {
			t.Error(err)
		}
	}
	if _, err := r.Release(ctx, draft.ID); !NotFound(err) {
		t.Errorf("deleted: %v", err)
	}
	if log.String() != "" || len(s.Leaks()) > 0 {
		t.Errorf("log %q, leaks %v", log, s.Leaks())
	}
}

// What has more pages than one, or more assets than a release's answer, is whole.
func TestPages(t *testing.T) {
	s := hubtest.New(t)
	r, _ := open(t, s, nil)
	for i := range 250 {
		s.SetTag(ours, fmt.Sprintf("t%d", i), "c0ffee")
		s.AddRelease(ours, hubtest.Release{Tag: fmt.Sprintf("t%d", i), Draft: i%2 == 0})
	}
	many := s.AddRelease(ours, hubtest.Release{Tag: "many"})
	for i := range 130 {
		s.AddAsset(ours, many, hubtest.Asset{Name: fmt.Sprintf("a%d", i)}, nil)
	}
	tags, err := r.Tags(t.Context())
	if len(tags) != 250 || err != nil {
		t.Errorf("%d tags %v", len(tags), err)
	}
	releases, err := r.Releases(t.Context())
	if len(releases) != 251 || err != nil || releases[0].Tag != "many" {
		t.Errorf("%d releases %v", len(releases), err)
	}
	release, err := r.Release(t.Context(), many)
	if len(release.Assets) != 130 || err != nil {
		t.Errorf("%d assets %v", len(release.Assets), err)
	}
}

// A release that is made while the pages are read moves the others along.
func TestPagesMove(t *testing.T) {
	s := hubtest.New(t)
	r, _ := open(t, s, nil)
	for i := range 150 {
		s.AddRelease(ours, hubtest.Release{Tag: fmt.Sprintf("t%d", i)})
	}
	s.Fail(hubtest.Fault{Match: "page=2", Do: hubtest.Then("one more", func() { s.AddRelease(ours, hubtest.Release{Tag: "new"}) })})
	releases, err := r.Releases(t.Context())
	if len(releases) != 150 || err != nil {
		t.Errorf("%d releases %v", len(releases), err)
	}
}

// Every fault that passes ends in the same, and is seen on the log.
func TestPassing(t *testing.T) {
	for name, c := range map[string]struct {
		fault hubtest.Fault
		want  []string // on the log
	}{
		"500":             {hubtest.Fault{Match: "^GET .*/tags", Times: 2, Do: hubtest.Status(500)}, []string{"GET /api/v3/repos/o/r/tags: answered 500 Internal Server Error: again in 1ms (attempt 2 of 4)", "again in 2ms (attempt 3 of 4)"}},
		"reset":           {hubtest.Fault{Match: "^GET .*/tags", Do: hubtest.Reset()}, []string{"EOF: again in"}},
		"truncated":       {hubtest.Fault{Match: "^GET .*/tags", Do: hubtest.Truncate()}, []string{"the answer broke off after", "again in"}},
		"429":             {hubtest.Fault{Match: "^GET .*/tags", Do: hubtest.RetryAfter(429, time.Second)}, []string{"answered 429, retry after 1s: again in 1s"}},
		"403":             {hubtest.Fault{Match: "^GET .*/tags", Do: hubtest.RetryAfter(403, time.Second)}, []string{"answered 403, retry after 1s: again in 1s"}},
		"503":             {hubtest.Fault{Match: "^GET .*/tags", Do: hubtest.RetryAfter(503, time.Second)}, []string{"answered 503, retry after 1s: again in 1s"}},
		"slow":            {hubtest.Fault{Match: "^GET .*/tags", Do: hubtest.Slow(5 * time.Millisecond)}, nil},
		"upload 500":      {hubtest.Fault{Match: "^POST /uploads", Do: hubtest.Status(500)}, []string{"assets: answered 500", "again in"}},
		"create 429":      {hubtest.Fault{Match: "^POST .*/releases$", Do: hubtest.RetryAfter(429, 0)}, []string{"releases: answered 429, retry after 0s: again in"}},
		"publish lost":    {hubtest.Fault{Match: "^PATCH", Do: hubtest.StoredReset()}, []string{"PATCH", "again in"}},
		"delete lost":     {hubtest.Fault{Match: "^DELETE", Do: hubtest.Stored(502)}, []string{"DELETE", "answered 502"}},
		"download status": {hubtest.Fault{Match: "^GET /storage", Do: hubtest.Status(502)}, []string{"GET /storage", "answered 502"}},
		"download cut":    {hubtest.Fault{Match: "^GET /storage", Do: hubtest.Truncate()}, []string{"downloading a: after 2 of 5 bytes", "again in"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := hubtest.New(t)
			r, log := open(t, s, nil)
			s.SetTag(ours, "v1", "c0ffee")
			s.Fail(c.fault)
			everything(t, r)
			for _, want := range c.want {
				if !strings.Contains(log.String(), want) {
					t.Errorf("the log lacks %q:\n%s", want, log)
				}
			}
			if c.want == nil && log.String() != "" {
				t.Errorf("the log has\n%s", log)
			}
			if got := s.Releases(ours); len(got) != 1 || got[0].Draft || len(got[0].Assets) != 0 || len(s.Leaks()) != 0 {
				t.Errorf("%+v, leaks %v", got, s.Leaks())
			}
		})
	}
}

// everything makes each kind of call once.
func everything(t *testing.T, r *Repository) {
	t.Helper()
	ctx := t.Context()
	if tags, err := r.Tags(ctx); err != nil || len(tags) != 1 {
		t.Errorf("tags %v, error %v", tags, err)
	}
	draft, err := r.Create(ctx, Draft{Tag: "v1"})
	if err != nil {
		t.Fatal(err)
	}
	asset, err := r.Upload(ctx, draft.ID, "a", "", hello(t))
	if err != nil || asset.Digest != helloDigest {
		t.Errorf("%v %v", asset, err)
	}
	if digest, err := r.Digest(ctx, asset); digest != helloDigest || err != nil {
		t.Errorf("digest %s, error %v", digest, err)
	}
	path := filepath.Join(t.TempDir(), "a")
	if err := r.Download(ctx, asset, path); err != nil {
		t.Error(err)
	}
	if content, err := os.ReadFile(path); string(content) != "hello" || err != nil {
		t.Errorf("downloaded: %q %v", content, err)
	}
	if _, err := r.Publish(ctx, draft.ID, true); err != nil {
		t.Error(err)
	}
	if err := r.DeleteAsset(ctx, asset.ID); err != nil {
		t.Error(err)
	}
}

// An upload of which the answer is lost is there; the second attempt says so.
func TestUploadLost(t *testing.T) {
	for name, c := range map[string]struct {
		do    hubtest.Effect
		state string
	}{
		"stored": {hubtest.Stored(502), hubtest.Uploaded},
		"reset":  {hubtest.StoredReset(), hubtest.Uploaded},
		"cut":    {hubtest.CutUpload(2), hubtest.Starter},
	} {
		t.Run(name, func(t *testing.T) {
			s := hubtest.New(t)
			r, _ := open(t, s, nil)
			id := s.AddRelease(ours, hubtest.Release{Tag: "v1", Draft: true})
			s.Fail(hubtest.Fault{Match: "^POST /uploads", Do: c.do})
			_, err := r.Upload(t.Context(), id, "a", "", hello(t))
			assets := s.Releases(ours)[0].Assets
			if !AlreadyExists(err) || len(assets) != 1 || assets[0].State != c.state {
				t.Errorf("%v, assets %+v", err, assets)
			}
		})
	}
}

// What passes is got over, and what does not leaves no file under the name: an
// older one stays.
func TestDownload(t *testing.T) {
	const storage = "^GET /storage"
	for name, c := range map[string]struct {
		asset hubtest.Asset
		fault hubtest.Fault
		want  string // of the error; empty if the file comes
	}{
		"at once":         {},
		"cut once":        {fault: hubtest.Fault{Match: storage, Do: hubtest.Truncate()}},
		"reset twice":     {fault: hubtest.Fault{Match: storage, Times: 2, Do: hubtest.Reset()}},
		"502 once":        {fault: hubtest.Fault{Match: storage, Do: hubtest.Status(502)}},
		"slow":            {fault: hubtest.Fault{Match: storage, Do: hubtest.Slow(5 * time.Millisecond)}},
		"no digest":       {asset: hubtest.Asset{Digest: "none"}},
		"cut always":      {fault: hubtest.Fault{Match: storage, Times: -1, Do: hubtest.Truncate()}, want: "downloading a of o/r"},
		"502 always":      {fault: hubtest.Fault{Match: storage, Times: -1, Do: hubtest.Status(502)}, want: "answered 502"},
		"gone":            {fault: hubtest.Fault{Match: "assets/", Do: hubtest.Status(404)}, want: "answered 404"},
		"another digest":  {asset: hubtest.Asset{Digest: "sha256:" + strings.Repeat("0", 64)}, want: "its digest is " + helloDigest + ", and sha256:000"},
		"more bytes":      {asset: hubtest.Asset{Size: 3, Digest: "none"}, want: "4 bytes came of 3"},
		"less bytes":      {asset: hubtest.Asset{Size: 9, Digest: "none"}, want: "5 bytes came of 9"},
		"half, no digest": {asset: hubtest.Asset{Digest: "none"}, fault: hubtest.Fault{Match: storage, Times: -1, Do: hubtest.Truncate()}, want: "downloading a of o/r"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := hubtest.New(t)
			r, _ := open(t, s, nil)
			id := s.AddRelease(ours, hubtest.Release{Tag: "v1"})
			c.asset.Name = "a"
			s.AddAsset(ours, id, c.asset, []byte("hello"))
			if c.fault.Match != "" {
				s.Fail(c.fault)
			}
			release, err := r.Release(t.Context(), id)
			if err != nil {
				t.Fatal(err)
			}
			path := filepath.Join(t.TempDir(), "file")
			if err := os.WriteFile(path, []byte("older"), 0o644); err != nil {
				t.Fatal(err)
			}
			err = r.Download(t.Context(), release.Assets[0], path)
			content, _ := os.ReadFile(path)
			if c.want == "" && (err != nil || string(content) != "hello") {
				t.Errorf("%q, error %v", content, err)
			}
			if c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want) || string(content) != "older") {
				t.Errorf("%q, the error lacks %q: %v", content, c.want, err)
			}
			if left, _ := os.ReadDir(filepath.Dir(path)); len(left) != 1 || len(s.Leaks()) > 0 {
				t.Errorf("there are %v, leaks %v", left, s.Leaks())
			}
		})
	}
}

// A disk that takes nothing is not GitHub's fault: nothing is asked again.
func TestDownloadNowhere(t *testing.T) {
	s := hubtest.New(t)
	r, log := open(t, s, nil)
	s.AddAsset(ours, s.AddRelease(ours, hubtest.Release{Tag: "v1"}), hubtest.Asset{Name: "a"}, []byte("hello"))
	releases, err := r.Releases(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	err = r.Download(t.Context(), releases[0].Assets[0], filepath.Join(hello(t), "below a file"))
	if err == nil || !strings.Contains(err.Error(), "not a directory") || strings.Contains(err.Error(), "network") || log.String() != "" {
		t.Errorf("%v, log %q", err, log)
	}
}

// A draft whose making was not answered is not made twice.
func TestCreateLost(t *testing.T) {
	for _, do := range []hubtest.Effect{hubtest.Stored(502), hubtest.StoredReset(), hubtest.Truncate()} {
		s := hubtest.New(t)
		r, _ := open(t, s, nil)
		s.Fail(hubtest.Fault{Match: "^POST", Do: do})
		_, err := r.Create(t.Context(), Draft{Tag: "v1"})
		if err == nil || len(s.Releases(ours)) != 1 {
			t.Errorf("%v, %d drafts", err, len(s.Releases(ours)))
		}
	}
}

// What does not pass ends: with what, where, and what to do.
func TestGivingUp(t *testing.T) {
	hour := time.Now().Add(time.Hour).Truncate(time.Minute).Add(30 * time.Second)
	for name, c := range map[string]struct {
		change func(*hubtest.Server, *Settings)
		want   []string
		calls  int
	}{
		"500 for ever": {
			func(s *hubtest.Server, _ *Settings) { s.Fail(hubtest.Fault{Times: -1, Do: hubtest.Status(500)}) },
			[]string{"listing the tags of o/r: 127.0.0.1:", "answered 500 (Internal Server Error)", "run it again later"}, 4,
		},
		"501": {
			func(s *hubtest.Server, _ *Settings) { s.Fail(hubtest.Fault{Times: -1, Do: hubtest.Status(501)}) },
			[]string{"answered 501"}, 1,
		},
		"resets for ever": {
			func(s *hubtest.Server, _ *Settings) { s.Fail(hubtest.Fault{Times: -1, Do: hubtest.Reset()}) },
			[]string{"no useful answer", "is there a network"}, 4,
		},
		"hanging": {
			func(s *hubtest.Server, o *Settings) {
				o.Stall = 500 * time.Millisecond
				s.Fail(hubtest.Fault{Times: -1, Do: hubtest.Slow(time.Minute)})
			},
			[]string{"no useful answer", "timeout"}, 4,
		},
		"dripping": {
			func(s *hubtest.Server, o *Settings) {
				o.Patience = 2 * time.Second
				s.Fail(hubtest.Fault{Times: -1, Do: hubtest.Slow(500 * time.Millisecond)})
			},
			[]string{"not done in time (a call may take 2s)"}, 1,
		},
		"wrong token": {
			func(_ *hubtest.Server, o *Settings) { o.Token = "wrong" },
			[]string{"answered 401 (Bad credentials)", "GITHUB_TOKEN"}, 1,
		},
		"not there": {
			func(s *hubtest.Server, _ *Settings) { s.Fail(hubtest.Fault{Do: hubtest.Status(404)}) },
			[]string{"answered 404", "it is not there, or"}, 1,
		},
		"no right": {
			func(s *hubtest.Server, _ *Settings) { s.Fail(hubtest.Fault{Do: hubtest.Status(403)}) },
			[]string{"answered 403", "contents: write on o/r"}, 1,
		},
		"an hour's limit": {
			func(s *hubtest.Server, o *Settings) { s.Limit(0, hour); o.Token = "" },
			[]string{"the hour's rate limit is used up", "until " + hour.UTC().Format("2006-01-02 15:04:"), "run it again then, or set GITHUB_TOKEN"}, 1,
		},
		"a long retry after": {
			func(s *hubtest.Server, _ *Settings) { s.Fail(hubtest.Fault{Do: hubtest.RetryAfter(429, time.Hour)}) },
			[]string{"answered 429, retry after 3600s", "run it again then"}, 1,
		},
		"retry after, again and again": {
			func(s *hubtest.Server, _ *Settings) {
				s.Fail(hubtest.Fault{Times: -1, Do: hubtest.RetryAfter(429, 0)})
			},
			[]string{"retry after 0s, 4 times", "run it again then"}, 4,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := hubtest.New(t)
			r, _ := open(t, s, func(o *Settings) { c.change(s, o) })
			s.SetTag(ours, "v1", strings.Repeat("c0ffee", 10))
			_, err := r.Tags(t.Context())
			for _, want := range c.want {
				if err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("the error lacks %q: %v", want, err)
				}
			}
			s.Close()
			if got := len(s.Calls()); got != c.calls {
				t.Errorf("%d calls, not %d: %v", got, c.calls, s.Calls())
			}
		})
	}
}

// The limit of the hour is waited for where it ends in time, also where the
// last call that it allowed was answered.
func TestLimit(t *testing.T) {
	s := hubtest.New(t)
	r, log := open(t, s, nil)
	s.Limit(1, time.Now().Add(time.Second))
	for range 2 {
		if _, err := r.Tags(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if !strings.Contains(log.String(), "the hour's rate limit is used up: again in") || s.Count(" 403$") != 1 {
		t.Errorf("%s\n%v", log, s.Calls())
	}
}

// Without a header that says how long, a secondary limit is at least a minute.
func TestSecondary(t *testing.T) {
	for body, want := range map[string]time.Duration{
		`{"message":"You have exceeded a secondary rate limit."}`: time.Minute,
		`{"message":"Resource not accessible by integration"}`:    0,
	} {
		answer := httptest.NewRecorder()
		answer.WriteHeader(http.StatusForbidden)
		_, _ = answer.WriteString(body)
		if got, why := limited(answer.Result()); got != want || (why == "") != (want == 0) {
			t.Errorf("%s: %s %q", body, got, why)
		}
	}
}

func TestNoNetwork(t *testing.T) {
	log := new(logged)
	r, err := Open(Settings{API: "http://127.0.0.1:1/api/v3", Attempts: 2, Pause: time.Millisecond, Log: log}, ours)
	if err != nil {
		t.Fatal(err)
	}
	_, err = r.Create(t.Context(), Draft{}) // not even heard: asked again, though it makes something
	for _, want := range []string{"making the draft", "127.0.0.1:1", "connection refused", "is there a network"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("the error lacks %q: %v", want, err)
		}
	}
	if strings.Count(log.String(), "again in") != 1 {
		t.Errorf("log:\n%s", log)
	}
}

func TestCancelled(t *testing.T) {
	s := hubtest.New(t)
	r, _ := open(t, s, func(o *Settings) { o.Pause = time.Minute })
	s.Fail(hubtest.Fault{Do: hubtest.Status(500)})
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	start := time.Now()
	if _, err := r.Tags(ctx); err == nil || time.Since(start) > 5*time.Second {
		t.Errorf("%v after %s", err, time.Since(start))
	}
}

func TestAddresses(t *testing.T) {
	for api, want := range map[string]string{
		"":                              "https://api.github.com/ https://uploads.github.com/",
		"https://api.octo.ghe.com":      "https://api.octo.ghe.com/ https://uploads.octo.ghe.com/",
		"https://git.example/api/v3":    "https://git.example/api/v3/ https://git.example/api/uploads/",
		"https://git.example/x/api/v3/": "https://git.example/x/api/v3/ https://git.example/x/api/uploads/",
		"https://git.example":           "neither",
		"http://git.example/api/v3":     "https://",
		"git.example/api/v3":            "is no address",
		"https://\x00":                  "is no address",
	} {
		got, uploads, err := Settings{API: api}.withDefaults().addresses()
		text := fmt.Sprint(got, " ", uploads)
		if err != nil {
			text = err.Error()
		}
		if !strings.Contains(text, want) {
			t.Errorf("%q: %s, not %s", api, text, want)
		}
	}
}

func TestNames(t *testing.T) {
	for name, good := range map[string]bool{
		"spiffe/spire": true, "a/b.c_d-e": true, "spire": false, "a/b/c": false, "../x": false, "a/..": false, "a/b\n": false,
		"-a/b": false, "a/b?c": false, "": false, "ä/b": false,
	} {
		if _, err := Open(Settings{}, name); (err == nil) != good {
			t.Errorf("%q: %v", name, err)
		}
	}
}

// The token goes to the server that it is for, and to no other.
func TestOpenPage(t *testing.T) {
	enterprise := Settings{Token: "x", API: "https://git.example/api/v3", Server: "https://git.example"}
	for page, want := range map[string]string{
		"https://git.example/a/b":         `https://git.example/api/v3/ https://git.example/a/b "x"`,
		"https://github.com/spiffe/spire": `https://api.github.com/ https://github.com/spiffe/spire ""`,
		"https://other.example/a/b.git":   `https://other.example/api/v3/ https://other.example/a/b ""`,
	} {
		r, err := OpenPage(enterprise, page)
		if err != nil {
			t.Fatal(err)
		}
		if got := fmt.Sprintf("%s %s %q", r.client.BaseURL, r.URL(), r.settings.Token); got != want {
			t.Errorf("%s: %s, not %s", page, got, want)
		}
	}
	for _, page := range []string{"", "spiffe/spire", "https://github.com/spiffe", "https://github.com/a/b/c"} {
		if _, err := OpenPage(enterprise, page); err == nil {
			t.Errorf("%q was taken", page)
		}
	}
}

func TestFromEnvironment(t *testing.T) {
	for _, c := range []struct{ first, second, want string }{{"a", "b", "a"}, {"", "b", "b"}, {"", "", ""}} {
		t.Setenv("GITHUB_TOKEN", c.first)
		t.Setenv("GH_TOKEN", c.second)
		t.Setenv("GITHUB_API_URL", "https://git.example/api/v3")
		if got := FromEnvironment(nil); got.Token != c.want || got.API != "https://git.example/api/v3" {
			t.Errorf("%+v: %+v", c, got)
		}
	}
}

// A list that never ends is not followed for ever.
func TestEndless(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Link", `<`+r.URL.Path+`?page=7>; rel="next"`)
		fmt.Fprint(w, "[{}]")
	}))
	defer server.Close()
	r, err := Open(Settings{API: server.URL + "/api/v3"}, ours)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if _, err := r.Tags(ctx); err == nil || !strings.Contains(err.Error(), "no end") {
		t.Errorf("%v", err)
	}
}
