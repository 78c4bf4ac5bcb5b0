package suite

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/artifact"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/osv"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/osv/osvtest"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pipeline"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/run"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/suite/tally"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/tool"
)

// night is the day of the tests.
var night = time.Date(2026, 11, 29, 3, 0, 0, 0, time.UTC)

// demo is a deb whose program links a module that a made-up database knows
// something of. Not this test itself: a test's program does not say what it links.
func demo(t *testing.T) (deb, known string) {
	t.Helper()
	if err := tool.Need("dpkg-deb"); err != nil {
		t.Fatal(err)
	}
	root := filepath.Join(t.TempDir(), "root")
	if err := run.New("go", "build", "-o", filepath.Join(root, "usr", "bin", "demo"), "./testdata/linked").Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	control := "Package: demo\nVersion: 1\nArchitecture: all\nMaintainer: x <x@example.org>\nDescription: x\n"
	if err := artifact.WriteBytes(filepath.Join(root, "DEBIAN", "control"), 0o644, []byte(control)); err != nil {
		t.Fatal(err)
	}
	deb = filepath.Join(filepath.Dir(root), "demo_1_all.deb")
	if err := run.New("dpkg-deb", "-Znone", "--build", root, deb).Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	known, err := filepath.Abs(filepath.Join("testdata", "vulnerabilities"))
	if err != nil {
		t.Fatal(err)
	}
	return deb, known
}

// bill writes the bill of materials of a deb; the golden one of package provenance
// is what is written in earnest.
func bill(t *testing.T, deb string, parts ...string) string {
	t.Helper()
	var components []string
	for _, part := range parts {
		name, version, _ := strings.Cut(part, "@")
		kind := "golang"
		if !strings.Contains(name, "/") && name != "stdlib" {
			kind = "generic"
		}
		components = append(components, fmt.Sprintf(`{"type":"library","name":%q,"version":%q,"purl":"pkg:%s/%s@%s"}`, name, version, kind, strings.ToLower(name), version))
	}
	text := fmt.Sprintf(`{"bomFormat":"CycloneDX","specVersion":"1.6","version":1,"metadata":{"timestamp":"2025-10-23T12:39:57Z","component":
{"type":"application","name":"demo","version":"1-1","purl":"pkg:deb/spire-packages/demo@1-1?arch=amd64"}},"components":[%s]}`, strings.Join(components, ","))
	path := deb + artifact.CycloneDX
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// watcher is a suite of a checkout in which something is accepted.
func watcher(t *testing.T, accepted string) (Suite, *strings.Builder) {
	t.Helper()
	place, log := t.TempDir(), new(strings.Builder)
	if err := artifact.WriteBytes(filepath.Join(place, acceptedFile), 0o644, []byte("accepted:\n"+accepted)); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(filepath.Join(place, "srpm"), os.DirFS(filepath.Join(root, "srpm"))); err != nil {
		t.Fatal(err)
	}
	return Suite{Root: place, Log: log, Pipeline: pipeline.Pipeline{Dist: artifact.Dist(filepath.Join(place, "dist"))}}, log
}

const modVersion = "v0.20.0" // never mind: OSV is asked for the bill's

func TestVulnerabilities(t *testing.T) {
	deb, known := demo(t)
	bills := []string{bill(t, deb, "golang.org/x/mod@"+modVersion, "example.org/Mixed/case@v1.2.3", "sqlite3@3.50.4", "musl@1.2.3", "gcc-12@12.2.0-14+deb12u1", "stdlib@1.26.8")}
	clean := t.TempDir()
	if err := os.CopyFS(clean, os.DirFS(known)); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(clean, "index", "modules.json"), []byte("[]"), 0o644); err != nil {
		t.Fatal(err)
	}
	const both = "- {id: GO-2026-0001, part: golang.org/x/mod, reason: not called, until: 2026-12-31, justification: vulnerable_code_not_in_execute_path}\n"
	sqlite := osv.Package{Ecosystem: "Alpine", Name: "sqlite", Version: "3.50.4"}
	for name, c := range map[string]struct {
		database, accepted string // without a database no program is looked at
		advise             func(*osvtest.Server)
		want               []string // of the log
		not                []string
		vex                string // a status; empty: there is no document
	}{
		"linked": {"file://" + known, "", nil, []string{"FAIL vulnerabilities demo_1_all.deb", "GO-2026-0001: golang.org/x/mod v", "fixed in v0.99.0", "ok   advisories"}, []string{"GO-2026-0002"}, "affected"},
		"clean":  {"file://" + clean, "", nil, []string{"4 passed, 0 failed, 0 skipped"}, nil, ""},
		"out of reach": {"http://127.0.0.1:1", "", nil, []string{
			"FAIL vulnerabilities demo_1_all.deb", "nothing is known of demo_1_all.deb, which is no pass",
		}, nil, ""},
		"accepted": {"file://" + known, both, nil, []string{"4 passed, 0 failed"}, []string{"NOT FOUND"}, "not_affected"},
		"accepted until yesterday": {"file://" + known, strings.Replace(both, "2026-12-31", "2026-11-28", 1), nil, []string{
			"FAIL vulnerabilities", "GO-2026-0001: golang.org/x/mod v", "FAIL accepted", "until 2026-11-28, and that is past",
		}, nil, "affected"},
		"accepted for too long":      {"", strings.Replace(both, "2026-12-31", "2099-12-31", 1), nil, []string{"FAIL accepted", "more than a year from now"}, nil, ""},
		"accepted and found no more": {"", both, nil, []string{"3 passed, 0 failed", "NOT FOUND any more: GO-2026-0001 in golang.org/x/mod"}, nil, ""},
		"in C": {"", "", func(s *osvtest.Server) {
			s.Add(sqlite, osvtest.Advisory{ID: "ALPINE-CVE-2026-1", Upstream: []string{"CVE-2026-1"}, Summary: "a\x1b[2J", Fixed: "3.50.5-r0"})
		}, []string{"FAIL advisories", `ALPINE-CVE-2026-1: sqlite 3.50.4 (CVE-2026-1): "a\x1b[2J", fixed in "3.50.5-r0"`}, []string{"\x1b"}, "under_investigation"},
		"in C, accepted in another part": {"", "- {id: CVE-2026-1, part: musl, reason: x, until: 2026-12-31}\n", func(s *osvtest.Server) {
			s.Add(sqlite, osvtest.Advisory{ID: "ALPINE-CVE-2026-1", Upstream: []string{"CVE-2026-1"}})
		}, []string{"FAIL advisories", "NOT FOUND any more: CVE-2026-1 in musl"}, nil, "under_investigation"},
		"in C, accepted by another name": {"", "- {id: CVE-2026-1, part: sqlite3, reason: rebuilt in December, until: 2026-12-31}\n", func(s *osvtest.Server) {
			s.Add(sqlite, osvtest.Advisory{ID: "ALPINE-CVE-2026-1", Upstream: []string{"CVE-2026-1"}})
		}, []string{"3 passed, 0 failed"}, []string{"NOT FOUND"}, "affected"},
		"in the C compiler's own library": {"", "", func(s *osvtest.Server) {
			s.Add(osv.Package{Ecosystem: "Debian:12", Name: "gcc-12", Version: "12.2.0-14+deb12u1"}, osvtest.Advisory{ID: "DEBIAN-CVE-2026-1"})
		}, []string{"FAIL advisories", "DEBIAN-CVE-2026-1: gcc-12 12.2.0-14+deb12u1"}, nil, "under_investigation"},
		"a module, by its own name": {"", "", func(s *osvtest.Server) {
			s.Add(osv.Package{Ecosystem: "Go", Name: "example.org/Mixed/case", Version: "1.2.3"}, osvtest.Advisory{ID: "GHSA-1"})
		}, []string{"FAIL advisories", "GHSA-1: example.org/Mixed/case 1.2.3"}, nil, "under_investigation"},
		"what govulncheck has said already": {"file://" + known, "", func(s *osvtest.Server) {
			s.Add(osv.Package{Ecosystem: "Go", Name: "golang.org/x/mod", Version: strings.TrimPrefix(modVersion, "v")}, osvtest.Advisory{ID: "GHSA-1", Aliases: []string{"GO-2026-0001"}})
		}, []string{"FAIL vulnerabilities", "ok   advisories"}, []string{"GHSA-1"}, "affected"},
		"OSV is down": {"", "", func(s *osvtest.Server) { s.Fail("/v1/querybatch", 500, 500) }, []string{
			"FAIL advisories", "nothing is known of the parts of the packages, which is no pass",
		}, nil, ""},
	} {
		t.Run(name, func(t *testing.T) {
			s, log := watcher(t, c.accepted)
			server := osvtest.New(t)
			if c.advise != nil {
				c.advise(server)
			}
			looked := pipeline.Looked{Debs: []string{deb}, Bills: bills}
			if c.database == "" {
				looked.Debs = nil
			}
			ask := Databases{c.database, osv.Client{Address: server.URL, Attempts: 2, Pause: time.Millisecond}}
			_ = s.runAll(t.Context(), []tally.Check{{Name: "vulnerabilities", Run: func(ctx context.Context, counts *tally.Tally) error {
				return s.vulnerabilities(ctx, counts, looked, ask, night)
			}}})
			for _, word := range c.want {
				if !strings.Contains(log.String(), word) {
					t.Errorf("it does not say %q:\n%s", word, log)
				}
			}
			for _, word := range c.not {
				if strings.Contains(log.String(), word) {
					t.Errorf("it says %q:\n%s", word, log)
				}
			}
			vex, err := os.ReadFile(filepath.Join(string(s.Pipeline.Dist), "vulnerabilities", "spire_1-1.openvex.json"))
			if c.vex == "" && err == nil || c.vex != "" && !strings.Contains(string(vex), `"status": "`+c.vex+`"`) {
				t.Errorf("the VEX is %s, %v", vex, err)
			}
		})
	}
}

// A library that OSV knows by no name of ours is no pass; nor is a list of nothing,
// or no list.
func TestUnknowable(t *testing.T) {
	deb := filepath.Join(t.TempDir(), "demo_1_all.deb")
	server := osvtest.New(t)
	s, _ := watcher(t, "")
	w, err := s.watch([]string{bill(t, deb, "libfoo@1")}, night)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.advisories(t.Context(), osv.Client{Address: server.URL}); err == nil || !strings.Contains(err.Error(), "nobody knows by which name OSV lists libfoo") || server.Count("/") > 0 {
		t.Errorf("error %v", err)
	}
	if err := w.judge([]vulnerability{{id: "GO-1"}}, "other.deb.cdx.json"); err == nil || !strings.Contains(err.Error(), "there is no other.deb.cdx.json") {
		t.Errorf("error %v", err)
	}
	if _, err := s.watch([]string{bill(t, deb)}, night); err == nil || !strings.Contains(err.Error(), "lists no part") {
		t.Errorf("error %v", err)
	}
	if _, err := s.watch(nil, night); err == nil || !strings.Contains(err.Error(), "no bills of materials") {
		t.Errorf("error %v", err)
	}
}

// In test:all it is said, but no failure, that nobody answers, or what is found.
func TestAdvised(t *testing.T) {
	deb := filepath.Join(t.TempDir(), "demo_1_all.deb")
	s, _ := watcher(t, "")
	b := built{Suite: s, part: part{result: pipeline.Result{Files: []artifact.File{{Path: deb}, {Path: bill(t, deb, "musl@1.2.3")}}}}}
	server := osvtest.New(t)
	client := osv.Client{Address: server.URL, Attempts: 1}
	if err := b.advised(t.Context(), client); err != nil {
		t.Errorf("nothing is known: %v", err)
	}
	server.Add(osv.Package{Ecosystem: "Alpine", Name: "musl", Version: "1.2.3"}, osvtest.Advisory{ID: "ALPINE-CVE-2026-2"})
	var skip tally.Skip
	if err := b.advised(t.Context(), client); !errors.As(err, &skip) || !strings.Contains(err.Error(), "ALPINE-CVE-2026-2") {
		t.Errorf("something is known: %v", err)
	}
	if err := b.advised(t.Context(), osv.Client{Address: "http://127.0.0.1:1", Attempts: 1}); !errors.As(err, &skip) || !strings.Contains(err.Error(), "NOT CHECKED for known vulnerabilities: ") {
		t.Errorf("nobody answers: %v", err)
	}
	server.Fail("/v1/querybatch", 400)
	if err := b.advised(t.Context(), client); err == nil || errors.As(err, &skip) {
		t.Errorf("it does not understand us: %v", err)
	}
}

func TestFindings(t *testing.T) {
	said := `{"config":{}}{"osv":{"id":"GO-1","aliases":["CVE-1"]}}{"finding":{"osv":"GO-1","fixed_version":"v2","trace":[{"module":"m","version":"v1"}]}}
{"finding":{"osv":"GO-1","fixed_version":"v2","trace":[{"module":"m","version":"v1","package":"m/p","function":"F"}]}}
{"finding":{"osv":"GO-1","fixed_version":"v2","trace":[{"module":"m","version":"v1","package":"m/p"}]}}
{"finding":{"osv":"GO-2","trace":[{"module":"stdlib","version":"v1.26.8"}]}}`
	got, err := findings(said)
	want := []vulnerability{
		{id: "GO-1", aliases: []string{"CVE-1"}, part: "m", text: "GO-1: m v1, m/p, F, fixed in v2", there: true},
		{id: "GO-2", part: "stdlib", text: "GO-2: stdlib v1.26.8"},
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(vulnerability{})); diff != "" || err != nil {
		t.Errorf("error %v (-want +got):\n%s", err, diff)
	}
	if got, err := findings(`{"config":{}}`); err != nil || got != nil {
		t.Error(got, err)
	}
	if _, err := findings("no JSON"); err == nil {
		t.Error("no error")
	}
}

func TestLoadAccepted(t *testing.T) {
	const right = "id: GO-2026-1, part: m, reason: x, until: 2026-12-31"
	for name, c := range map[string]struct{ text, want string }{
		"right":          {"accepted: [{" + right + "}]", ""},
		"none":           {"accepted: []", ""},
		"an unknown key": {"accepted: [{" + right + ", unitl: 2026-12-31}]", "field unitl not found"},
		"another list":   {"acepted: [{" + right + "}]", "field acepted not found"},
		"no id":          {"accepted: [{part: m, reason: x, until: 2026-12-31}]", `id "" is not such as`},
		"no part":        {"accepted: [{id: CVE-2026-1, reason: x, until: 2026-12-31}]", "it has no part"},
		"no reason":      {"accepted: [{id: CVE-2026-1, part: m, reason: ' ', until: 2026-12-31}]", "it has no reason"},
		"no last day":    {"accepted: [{id: CVE-2026-1, part: m, reason: x}]", "it has no last day"},
		"no day":         {"accepted: [{id: CVE-2026-1, part: m, reason: x, until: soon}]", `cannot parse "soon"`},
		"an odd reason":  {"accepted: [{" + right + ", justification: because}]", `justification "because" is none of OpenVEX's`},
		"twice":          {"accepted: [{" + right + "}, {" + right + "}]", "accepted 2 (GO-2026-1): it is there twice"},
		"two documents":  {"accepted: []\n---\naccepted: []\n", "more than one document"},
		"nothing":        {"", "EOF"},
	} {
		path := filepath.Join(t.TempDir(), "accepted.yaml")
		if err := os.WriteFile(path, []byte(c.text), 0o644); err != nil {
			t.Fatal(err)
		}
		_, err := loadAccepted(path)
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: error %v, want %q", name, err, c.want)
		}
	}
	if _, err := (Suite{Root: root}).accepted(); err != nil {
		t.Error(err)
	}
}

// What is accepted is a day that ends with that day.
func TestLastDay(t *testing.T) {
	a := acceptance{ID: "GO-1", Part: "m", Until: time.Date(2026, 12, 31, 0, 0, 0, 0, time.UTC)}
	for at, past := range map[time.Time]bool{
		time.Date(2026, 12, 31, 23, 59, 59, 0, time.UTC): false,
		time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC):      true,
	} {
		if err := a.onTime(at); (err != nil) != past {
			t.Errorf("at %s: %v", at, err)
		}
	}
}

// Documents have nothing of the moment, and the form that OpenVEX wants.
func TestVEX(t *testing.T) {
	deb := filepath.Join(t.TempDir(), "demo_1_all.deb")
	make := func() []byte {
		s, _ := watcher(t, "- {id: CVE-2, part: sqlite3, reason: no such input, until: 2026-12-31, justification: vulnerable_code_cannot_be_controlled_by_adversary}\n")
		w, err := s.watch([]string{bill(t, deb, "sqlite3@3.50.4", "example.org/m@v1.0.0")}, night)
		if err != nil {
			t.Fatal(err)
		}
		_ = w.judge([]vulnerability{
			{id: "GO-1", part: "example.org/m", text: "GO-1: example.org/m v1.0.0", aliases: []string{"GHSA-1", "CVE-1"}},
			{id: "ALPINE-CVE-2", part: "sqlite3", text: "x", aliases: []string{"CVE-2"}},
		}, filepath.Base(deb)+artifact.CycloneDX)
		if err := s.writeVEX(w); err != nil {
			t.Fatal(err)
		}
		content, err := os.ReadFile(filepath.Join(string(s.Pipeline.Dist), "vulnerabilities", "spire_1-1.openvex.json"))
		if err != nil {
			t.Fatal(err)
		}
		return content
	}
	first := make()
	if diff := cmp.Diff(string(first), string(make())); diff != "" {
		t.Errorf("it comes out otherwise:\n%s", diff)
	}
	var document map[string]any
	if err := json.Unmarshal(first, &document); err != nil {
		t.Fatal(err)
	}
	product := []any{map[string]any{"@id": "pkg:deb/spire-packages/demo@1-1?arch=amd64", "subcomponents": []any{map[string]any{"@id": "pkg:generic/sqlite3@3.50.4"}}}}
	want := map[string]any{
		"vulnerability": map[string]any{"name": "ALPINE-CVE-2", "aliases": []any{"CVE-2"}}, "products": product, "status": "not_affected",
		"justification": "vulnerable_code_cannot_be_controlled_by_adversary", "status_notes": "no such input",
	}
	if diff := cmp.Diff(want, document["statements"].([]any)[0]); diff != "" || document["timestamp"] != "2025-10-23T12:39:57Z" {
		t.Errorf("of %v (-want +got):\n%s", document["timestamp"], diff)
	}
}
