package hubtest

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

const repo = "o/r"

// ask sends a request as the token's owner; "" is nobody.
func ask(t *testing.T, s *Server, token, method, path, body string, header ...string) (int, http.Header, map[string]any, error) {
	t.Helper()
	url := s.API() + path
	if strings.HasPrefix(path, "/uploads") {
		url = s.URL() + "/api" + path
	}
	request, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	for i := 0; i < len(header); i += 2 {
		request.Header.Set(header[i], header[i+1])
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, nil, nil, err
	}
	defer func() { _ = response.Body.Close() }()
	content, err := io.ReadAll(response.Body)
	answer := map[string]any{}
	if len(content) > 0 && content[0] == '{' {
		err2 := json.Unmarshal(content, &answer)
		if err == nil {
			err = err2
		}
	}
	return response.StatusCode, response.Header, answer, err
}

// must is ask where an answer is sure to come.
func must(t *testing.T, s *Server, method, path, body string, want int) map[string]any {
	t.Helper()
	code, _, answer, err := ask(t, s, Token, method, path, body)
	if err != nil || code != want {
		t.Fatalf("%s %s: %d, not %d: %v %v", method, path, code, want, answer, err)
	}
	return answer
}

func draft(t *testing.T, s *Server, tag string) int64 {
	t.Helper()
	answer := must(t, s, "POST", "/repos/o/r/releases", fmt.Sprintf(`{"tag_name":%q,"target_commitish":"c0ffee","draft":true}`, tag), 201)
	return int64(answer["id"].(float64))
}

func assets(id int64) string      { return fmt.Sprintf("/uploads/repos/o/r/releases/%d/assets?name=", id) }
func releasePath(id int64) string { return fmt.Sprintf("/repos/o/r/releases/%d", id) }
func code(answer map[string]any) string {
	details, _ := answer["errors"].([]any)
	if len(details) == 0 {
		return ""
	}
	return details[0].(map[string]any)["code"].(string)
}

func TestLife(t *testing.T) {
	s := New(t)
	s.Repository(repo)
	s.Immutable(repo, true)
	id := draft(t, s, "v1.0.0-1")
	must(t, s, "GET", "/repos/o/r/releases/tags/v1.0.0-1", "", 404)
	answer := must(t, s, "POST", assets(id)+"a~1.deb", "hello", 201)
	if answer["name"] != "a.1.deb" || answer["state"] != Uploaded ||
		answer["digest"] != "sha256:2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824" {
		t.Errorf("uploaded: %v", answer)
	}
	if answer := must(t, s, "POST", assets(id)+"a.1.deb", "hello", 422); code(answer) != "already_exists" {
		t.Errorf("a second one: %v", answer)
	}
	must(t, s, "PATCH", releasePath(id), `{"draft":false,"make_latest":"true"}`, 200)
	must(t, s, "GET", "/repos/o/r/releases/tags/v1.0.0-1", "", 200)
	must(t, s, "GET", "/repos/o/r/git/ref/tags/v1.0.0-1", "", 200)
	if answer := must(t, s, "POST", assets(id)+"b.deb", "late", 422); code(answer) != "custom" {
		t.Errorf("upload to a locked one: %v", answer)
	}
	second := draft(t, s, "v1.0.0-1")
	if answer := must(t, s, "PATCH", releasePath(second), `{"draft":false}`, 422); code(answer) != "already_exists" {
		t.Errorf("publishing a second one: %v", answer)
	}
	must(t, s, "DELETE", releasePath(id), "", 204)
	if answer := must(t, s, "PATCH", releasePath(second), `{"draft":false}`, 422); code(answer) != "custom" {
		t.Errorf("publishing under a burned tag: %v", answer)
	}
}

func TestWho(t *testing.T) {
	s := New(t)
	s.Repository(repo)
	draft(t, s, "v1.0.0-1")
	for _, c := range []struct {
		token, method, path string
		want                int
	}{
		{"", "POST", "/repos/o/r/releases", 401},
		{ReadToken, "POST", "/repos/o/r/releases", 403},
		{"wrong", "GET", "/repos/o/r/releases", 401},
		{Token, "GET", "/repos/o/other/releases", 404},
		{"", "GET", "/repos/o/r/releases/1001", 404},
		{Token, "GET", "/repos/o/r/releases/1001", 200},
	} {
		if code, _, answer, err := ask(t, s, c.token, c.method, c.path, "{}"); code != c.want || err != nil {
			t.Errorf("%s %s by %q: %d, not %d: %v %v", c.method, c.path, c.token, code, c.want, answer, err)
		}
	}
}

func TestPagesAndETags(t *testing.T) {
	s := New(t)
	for i := range 45 {
		s.SetTag(repo, fmt.Sprintf("v0.0.%d", i), "c0ffee")
	}
	s.Limit(100, time.Now().Add(time.Hour))
	_, first, _, _ := ask(t, s, "", "GET", "/repos/o/r/tags", "")
	if link := first.Get("Link"); !strings.Contains(link, `page=2>; rel="next"`) || !strings.Contains(link, `rel="last"`) {
		t.Errorf("the first page's links are %q", link)
	}
	status, again, _, err := ask(t, s, "", "GET", "/repos/o/r/tags", "", "If-None-Match", first.Get("ETag"))
	if status != 304 || err != nil {
		t.Errorf("the same again: %d %v", status, err)
	}
	if first.Get("X-RateLimit-Remaining") != "99" || again.Get("X-RateLimit-Remaining") != "98" || s.limit != 99 {
		t.Errorf("%v, then %v; %d left", first, again, s.limit)
	}
	s.Limit(0, time.Now().Add(time.Hour))
	if status, header, _, _ := ask(t, s, "", "GET", "/repos/o/r/tags", ""); status != 403 || header.Get("X-RateLimit-Remaining") != "0" {
		t.Errorf("over the limit: %d %v", status, header)
	}
}

// A download goes to another host, which must not get the token.
func TestStorage(t *testing.T) {
	s := New(t)
	id := s.AddRelease(repo, Release{Tag: "v1", Assets: []Asset{{Name: "a.deb"}}})
	asset := s.Releases(repo)[0].Assets[0].ID
	path := fmt.Sprintf("/repos/o/r/releases/assets/%d", asset)
	if status, _, _, err := ask(t, s, "", "GET", path, "", "Accept", "application/octet-stream"); status != 200 || err != nil {
		t.Errorf("release %d: %d %v", id, status, err)
	}
	response, err := http.Get(s.URL() + "/o/r/releases/download/v1/a.deb")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	if content, err := io.ReadAll(response.Body); string(content) != "a.deb" || err != nil {
		t.Errorf("%q %v", content, err)
	}
	request, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, response.Request.URL.String(), nil)
	request.Header.Set("Authorization", "Bearer "+Token)
	refused, err := http.DefaultClient.Do(request)
	if err != nil || refused.StatusCode != http.StatusBadRequest || len(s.Leaks()) != 1 {
		t.Errorf("%v %v, leaks %v", refused, err, s.Leaks())
	}
	_ = refused.Body.Close()
}

func TestFaults(t *testing.T) {
	for name, c := range map[string]struct {
		do     Effect
		want   int // 0: no answer
		state  string
		digest bool
	}{
		"status":       {Status(500), 500, "", false},
		"stored":       {Stored(502), 502, Uploaded, true},
		"reset":        {Reset(), 0, "", false},
		"stored reset": {StoredReset(), 0, Uploaded, true},
		"cut":          {CutUpload(3), 0, Starter, false},
		"truncated":    {Truncate(), 201, Uploaded, true},
		"slow":         {Slow(time.Millisecond), 201, Uploaded, true},
		"limit":        {RetryAfter(429, 2*time.Second), 429, "", false},
	} {
		t.Run(name, func(t *testing.T) {
			s := New(t)
			s.Repository(repo)
			id := draft(t, s, "v1")
			s.Fail(Fault{Match: `^POST /uploads/.*name=b`, Skip: 1, Do: c.do})
			must(t, s, "POST", assets(id)+"b1", "hello", 201)
			status, header, _, err := ask(t, s, Token, "POST", assets(id)+"b2", "hello")
			if status != c.want || (err != nil) != (c.want == 0 || name == "truncated") {
				t.Errorf("%d, not %d; %v", status, c.want, err)
			}
			if name == "limit" && header.Get("Retry-After") != "2" {
				t.Errorf("retry after %q", header.Get("Retry-After"))
			}
			must(t, s, "POST", assets(id)+"b3", "hello", 201)
			found := map[string]Asset{}
			for _, asset := range s.Releases(repo)[0].Assets {
				found[asset.Name] = asset
			}
			if got := found["b2"]; got.State != c.state || (got.Digest != "") != c.digest || len(found) < 2 {
				t.Errorf("%+v", found)
			}
			if s.Count(`^POST /uploads/.*name=b`) != 3 || s.Count(`\(`) != 1 {
				t.Errorf("calls %v", s.Calls())
			}
		})
	}
}

func TestDraftGone(t *testing.T) {
	s := New(t)
	s.Repository(repo)
	id := draft(t, s, "v1")
	s.Fail(Fault{Match: "^POST /uploads", Do: Then("draft deleted", func() { s.DeleteDrafts(repo) })})
	must(t, s, "POST", assets(id)+"b", "hello", 404)
}
