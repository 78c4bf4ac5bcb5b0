package upstream

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/golden"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/hub"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/hub/hubtest"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pkgdef"
)

// ours is the source that is planned.
var ours = pkgdef.Source{Name: "spire", Main: true}

const (
	spire = "spiffe/spire"
	mine  = "spiffe-experimental/spire-packages"
)

// realTags are upstream's tags as they were on a day, in the order in which
// GitHub lists none: by date.
func realTags(t *testing.T, day string) []hub.Tag {
	t.Helper()
	content, err := os.ReadFile("testdata/spire-tags.txt")
	if err != nil {
		t.Fatal(err)
	}
	var tags []hub.Tag
	for line := range strings.Lines(string(content)) {
		if f := strings.Fields(line); f[1] <= day {
			tags = append(tags, hub.Tag{Name: f[0], Commit: f[2]})
		}
	}
	return tags
}

func commitOf(t *testing.T, version string) string {
	t.Helper()
	for _, tag := range realTags(t, "9999") {
		if tag.Name == "v"+version {
			return tag.Commit
		}
	}
	return strings.Repeat("0", 40)
}

// expected is a small release: enough to lack something.
func expected(version string, release int) []string {
	return []string{
		fmt.Sprintf("spire-agent_%s-%d_amd64.deb", version, release), fmt.Sprintf("spire-agent_%s-%d_arm64.deb", version, release),
		fmt.Sprintf("spire_%s-%d.intoto.json", version, release), "SHA256SUMS", "SHA256SUMS.asc",
	}
}

// released is a whole release of a version.
func released(t *testing.T, version string, number int) hubtest.Release {
	release := hubtest.Release{
		Tag: fmt.Sprintf("v%s-%d", version, number), Created: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC),
		Notes: "SPIRE " + version + "\r\nupstream-commit: " + commitOf(t, version) + "\r\nmore\r\n",
	}
	for _, name := range expected(version, number) {
		release.Assets = append(release.Assets, hubtest.Asset{Name: name})
	}
	return release
}

func without(release hubtest.Release, ending string) hubtest.Release {
	return changed(release, ending, nil)
}

// changed changes the asset whose name ends so; no change takes it away.
func changed(release hubtest.Release, ending string, change func(*hubtest.Asset)) hubtest.Release {
	var assets []hubtest.Asset
	for _, asset := range release.Assets {
		if !strings.HasSuffix(asset.Name, ending) {
			assets = append(assets, asset)
		} else if change != nil {
			change(&asset)
			assets = append(assets, asset)
		}
	}
	release.Assets = assets
	return release
}

func draft(release hubtest.Release) hubtest.Release {
	release.Draft = true
	return release
}

func locked(release hubtest.Release) hubtest.Release {
	release.Immutable = true
	return release
}

// scene is what is on the server.
type scene struct {
	day      string
	minors   int    // 0: 2
	floor    string // empty: none
	only     string // empty: all that is due
	release  int    // 0: 1
	tags     map[string]string
	known    []Known
	releases func(t *testing.T) []hubtest.Release
}

func wholes(versions ...string) func(t *testing.T) []hubtest.Release {
	return func(t *testing.T) []hubtest.Release {
		var all []hubtest.Release
		for _, version := range versions {
			all = append(all, released(t, version, 1))
		}
		return all
	}
}

func (s scene) rules(t *testing.T) Rules {
	t.Helper()
	rules := Rules{Minors: max(s.minors, 0), Source: ours, Only: s.only, Arches: []string{"amd64", "arm64"}, Expected: expected}
	rules.Source.Release = max(s.release, 1)
	if s.minors == 0 {
		rules.Minors = 2
	}
	if s.floor != "" {
		var err error
		if rules.Floor, err = ParseVersion(s.floor); err != nil {
			t.Fatal(err)
		}
	}
	return rules
}

// plan asks a server on which it is like that.
func (s scene) plan(t *testing.T) Plan {
	t.Helper()
	server := hubtest.New(t)
	server.Repository(mine)
	for _, tag := range realTags(t, s.day) {
		server.SetTag(spire, tag.Name, tag.Commit)
	}
	for name, commit := range s.tags {
		server.SetTag(spire, name, commit)
	}
	if s.releases != nil {
		for _, release := range s.releases(t) {
			server.AddRelease(mine, release)
		}
	}
	settings := hub.Settings{Token: hubtest.Token, API: server.API(), Server: server.URL()}
	upstream, err := hub.Open(settings, spire)
	own, err2 := hub.Open(settings, mine)
	if err != nil || err2 != nil {
		t.Fatal(err, err2)
	}
	tags, err := upstream.Tags(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	facts, err := Look(t.Context(), tags, own, s.rules(t))
	if err != nil {
		t.Fatal(err)
	}
	facts.Known = s.known
	plan, err := Make(facts, s.rules(t))
	if err != nil {
		t.Fatal(err)
	}
	for _, call := range server.Calls() {
		if call.Writes() {
			t.Errorf("a plan makes the call %s", call)
		}
	}
	return plan
}

var scenes = map[string]struct {
	scene
	due   string // the versions
	alarm bool
}{
	// 1.15.0 is out, 1.14.7 and 1.15.1 are not yet.
	"the-day-before":       {scene{day: "2026-05-27"}, "1.15.0 1.14.6", false},
	"the-day-before-done":  {scene{day: "2026-05-27", releases: wholes("1.15.0", "1.14.6")}, "", false},
	"the-day":              {scene{day: "2026-05-28"}, "1.15.1 1.14.7", false},
	"the-day-after-before": {scene{day: "2026-05-28", releases: wholes("1.15.0", "1.14.6")}, "1.15.1 1.14.7", false},
	// A patch of the older minor after the newer minor was released.
	"older-minor-after-newer": {scene{day: "2026-05-28", releases: wholes("1.15.0", "1.15.1", "1.14.6")}, "1.14.7", false},
	// Some nights were missed: everything since then.
	"catching-up":  {scene{day: "2026-11-01", releases: wholes("1.15.0", "1.14.4")}, "1.15.3 1.15.2 1.15.1 1.14.7 1.14.6 1.14.5", false},
	"today":        {scene{day: "2026-11-01"}, "1.15.3 1.14.7", false},
	"one-minor":    {scene{day: "2026-11-01", minors: 1}, "1.15.3", false},
	"three-minors": {scene{day: "2026-11-01", minors: 3}, "1.15.3 1.14.7 1.13.6", false},
	"floor":        {scene{day: "2026-11-01", minors: 3, floor: "1.14.0"}, "1.15.3 1.14.7", false},
	"floor-in-minor": {scene{day: "2026-11-01", floor: "1.15.2", releases: func(t *testing.T) []hubtest.Release {
		return []hubtest.Release{without(released(t, "1.14.7", 1), "SHA256SUMS"), released(t, "1.15.0", 1)}
	}}, "1.15.3 1.15.2", false},
	// Parts of releases, also of old versions; 1.12.2 is whole.
	"partial": {scene{day: "2026-11-01", releases: func(t *testing.T) []hubtest.Release {
		return []hubtest.Release{
			draft(released(t, "1.15.3", 1)),
			without(released(t, "1.15.2", 1), "arm64.deb"),
			without(without(released(t, "1.15.1", 1), ".deb"), ".asc"),
			changed(released(t, "1.14.7", 1), "amd64.deb", func(a *hubtest.Asset) { a.State = hubtest.Starter }),
			changed(released(t, "1.13.3", 1), "SHA256SUMS", func(a *hubtest.Asset) { a.Digest = "none" }),
			released(t, "1.12.2", 1), draft(released(t, "1.12.2", 1)),
			{Tag: "v1.11.0-1", Draft: true},
		}
	}}, "1.15.3 1.15.2 1.15.1 1.14.7 1.13.3 1.11.0", false},
	// A server without digests lacks none.
	"no-digests": {scene{day: "2026-11-01", releases: func(t *testing.T) []hubtest.Release {
		none := func(a *hubtest.Asset) { a.Digest = "none" }
		return []hubtest.Release{changed(released(t, "1.15.3", 1), "", none), changed(released(t, "1.14.7", 1), "", none)}
	}}, "", false},
	"packaging-2": {scene{day: "2026-11-01", release: 2, releases: func(t *testing.T) []hubtest.Release {
		return []hubtest.Release{released(t, "1.15.3", 1), released(t, "1.15.2", 1), released(t, "1.14.7", 1), released(t, "1.14.7", 2), released(t, "1.13.6", 3)}
	}}, "1.15.3", false},
	"packaging-2-begun": {scene{day: "2026-11-01", release: 2, releases: func(t *testing.T) []hubtest.Release {
		return []hubtest.Release{released(t, "1.15.3", 1), draft(released(t, "1.15.3", 2)), locked(without(released(t, "1.14.7", 1), "SHA256SUMS"))}
	}}, "1.15.3 1.14.7", false},
	"locked-half": {scene{day: "2026-11-01", releases: func(t *testing.T) []hubtest.Release {
		return []hubtest.Release{locked(released(t, "1.15.3", 1)), locked(without(released(t, "1.14.7", 1), "SHA256SUMS"))}
	}}, "", true},
	// Tags that are not what they were: by our release, by source.yaml, by the
	// module proxy, or gone. 1.15.3 is due all the same.
	"moved": {scene{day: "2026-11-01", minors: 4, tags: map[string]string{"v1.13.3": strings.Repeat("bad0", 10)},
		known: []Known{
			{"1.13.3", "191c76b489656502ff946afb486b47b83a376e81", "srpm/spire/source.yaml"},
			{"1.12.6", strings.Repeat("c0de", 10), "the module proxy"},
			{"1.13.0", "c256da6a17bca3bc8be25658e6e50ac49b38fb7e", "srpm/spire/source.yaml"},
		},
		releases: func(t *testing.T) []hubtest.Release {
			bare := released(t, "1.14.7", 1)
			bare.Notes = "nothing"
			strange := released(t, "1.14.6", 1)
			strange.Notes += "upstream-commit: $(id)\n"
			return []hubtest.Release{released(t, "1.13.3", 1), released(t, "1.99.0", 1), bare, strange}
		}}, "1.15.3 1.13.6 1.13.5 1.13.4", true},
	"asked":       {scene{day: "2026-11-01", floor: "1.14.0", only: "1.12.2"}, "1.12.2", false},
	"asked-again": {scene{day: "2026-11-01", only: "1.13.3", releases: wholes("1.13.3")}, "1.13.3", false},
	"asked-half": {scene{day: "2026-11-01", only: "1.13.3", releases: func(t *testing.T) []hubtest.Release {
		return []hubtest.Release{without(released(t, "1.13.3", 1), ".asc")}
	}}, "1.13.3", false},
	"asked-packaged": {scene{day: "2026-11-01", only: "1.13.3", releases: func(t *testing.T) []hubtest.Release { return []hubtest.Release{released(t, "1.13.3", 2)} }}, "", false},
	"asked-moved":    {scene{day: "2026-11-01", only: "1.13.3", tags: map[string]string{"v1.13.3": strings.Repeat("bad0", 10)}, releases: wholes("1.13.3")}, "", true},
	"hostile": {scene{day: "2026-11-01", tags: hostileTags(), releases: func(t *testing.T) []hubtest.Release {
		release := released(t, "1.15.3", 1)
		for _, name := range []string{"../../x", "a\nb", "x;id", strings.Repeat("y", 4096), "spire-аgent.deb"} {
			release.Assets = append(release.Assets, hubtest.Asset{Name: name})
		}
		return []hubtest.Release{release, {Tag: "v1.15.3-1;id"}, {Tag: "v9.9.9-1\n"}, {Tag: "nightly"}}
	}}, "1.14.7", false},
}

func hostileTags() map[string]string {
	tags := map[string]string{}
	for _, tag := range hostiles {
		tags[tag] = strings.Repeat("bad0", 10)
	}
	return tags
}

func TestPlans(t *testing.T) {
	for name, c := range scenes {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			plan := c.plan(t)
			if due := strings.Join(plan.Versions(), " "); due != c.due {
				t.Errorf("due are %q, not %q", due, c.due)
			}
			if alarms := (Plans{plan}).Err(); (alarms != nil) != c.alarm {
				t.Errorf("alarms: %v", alarms)
			}
			var text bytes.Buffer
			if err := plan.Print(&text); err != nil {
				t.Fatal(err)
			}
			outputs, err := Plans{plan}.Outputs()
			if err != nil {
				t.Fatal(err)
			}
			golden.Check(t, "plans/"+name+".golden", text.String()+"\n"+outputs)
		})
	}
}

// Both commits of a moved tag are named.
func TestMovedNames(t *testing.T) {
	err := Plans{scenes["moved"].plan(t)}.Err()
	for _, want := range []string{strings.Repeat("bad0", 10), "191c76b489656502ff946afb486b47b83a376e81", "our release v1.13.3-1", "srpm/spire/source.yaml", "v1.99.0"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("the alarm lacks %q: %v", want, err)
		}
	}
}

// A commit that is none, and a tag that moves while its pages are read.
func TestTagFaults(t *testing.T) {
	a, b := strings.Repeat("a", 40), strings.Repeat("b", 40)
	for name, tags := range map[string][]hub.Tag{
		"no commit": {{Name: "v1.0.0", Commit: "main"}}, "empty commit": {{Name: "v1.0.0"}}, "twice": {{Name: "v1.0.0", Commit: a}, {Name: "v1.0.0", Commit: b}},
	} {
		plan, err := Make(Facts{Tags: tags}, scene{}.rules(t))
		if err != nil || len(plan.Alarms) == 0 || len(plan.Versions()) != 0 {
			t.Errorf("%s: %v, alarms %v, due %v", name, err, plan.Alarms, plan.Versions())
		}
	}
	plan, err := Make(Facts{Tags: []hub.Tag{{Name: "v1.0.0", Commit: a}, {Name: "v1.0.0", Commit: a}}}, scene{}.rules(t))
	if err != nil || len(plan.Alarms) != 0 || len(plan.Verdicts) != 1 {
		t.Errorf("the same twice: %v %+v", err, plan)
	}
}

// An empty list is not a night without work.
func TestNoVersions(t *testing.T) {
	if _, err := Make(Facts{Tags: []hub.Tag{{Name: "main", Commit: strings.Repeat("a", 40)}}}, scene{}.rules(t)); err == nil {
		t.Error("a repository without versions has a plan")
	}
}

// A version that is not there is not a night without work either.
func TestAskedForNothing(t *testing.T) {
	rules := scene{only: "1.0.1"}.rules(t)
	_, err := Make(Facts{Tags: []hub.Tag{{Name: "v1.0.0", Commit: strings.Repeat("a", 40)}}}, rules)
	if err == nil || !strings.Contains(err.Error(), "v1.0.1") {
		t.Errorf("the error is %v", err)
	}
}

// The list of releases has some assets only; a second look has all.
func TestManyAssets(t *testing.T) {
	s := scene{day: "2026-11-01", releases: func(t *testing.T) []hubtest.Release {
		release := released(t, "1.15.3", 1)
		var more []hubtest.Asset
		for i := range 120 {
			more = append(more, hubtest.Asset{Name: fmt.Sprintf("a%d", i)})
		}
		release.Assets = append(more, release.Assets...)
		return []hubtest.Release{release}
	}}
	if due := s.plan(t).Versions(); !cmp.Equal(due, []string{"1.14.7"}) {
		t.Errorf("due are %v", due)
	}
}

func TestJSON(t *testing.T) {
	content, err := Plans{scene{day: "2026-05-28"}.plan(t)}.JSON()
	if err != nil || bytes.Contains(content, []byte("\n")) {
		t.Fatalf("%s %v", content, err)
	}
	var got struct {
		Build     Matrix
		Versions  []Due
		Supported map[string][]Line
		Alarms    []string
		Verdicts  map[string][]Verdict
	}
	if err := json.Unmarshal(content, &got); err != nil {
		t.Fatal(err)
	}
	want := []Job{
		{Due{"spire", "1.15.1"}, "amd64", "ubuntu-24.04"}, {Due{"spire", "1.15.1"}, "arm64", "ubuntu-24.04-arm"},
		{Due{"spire", "1.14.7"}, "amd64", "ubuntu-24.04"}, {Due{"spire", "1.14.7"}, "arm64", "ubuntu-24.04-arm"},
	}
	if diff := cmp.Diff(want, got.Build.Include); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]Line{{"1.15", "1.15.1"}, {"1.14", "1.14.7"}}, got.Supported["spire"]); diff != "" {
		t.Error(diff)
	}
	if got.Alarms == nil || len(got.Versions) != 2 || len(got.Verdicts["spire"]) < 100 || got.Verdicts["spire"][0].Commit == "" {
		t.Errorf("%s", content)
	}
}

// Another source has tags, alarms and a place in the list of its own.
func TestSeveralSources(t *testing.T) {
	a, b := strings.Repeat("a", 40), strings.Repeat("b", 40)
	other := scene{}.rules(t)
	other.Source = pkgdef.Source{Name: "spiffe-helper", Release: 1}
	plan := func(rules Rules, facts Facts) Plan {
		t.Helper()
		plan, err := Make(facts, rules)
		if err != nil {
			t.Fatal(err)
		}
		return plan
	}
	plans := Plans{
		plan(scene{}.rules(t), Facts{Tags: []hub.Tag{{Name: "v1.15.1", Commit: a}}, Releases: []hub.Release{{Tag: "spiffe-helper-v1.15.1-1"}}}),
		plan(other, Facts{Tags: []hub.Tag{{Name: "v0.11.0", Commit: a}, {Name: "v0.10.0", Commit: a}, {Name: "v0.10.0", Commit: b}}}),
	}
	outputs, err := plans.Outputs()
	if want := `versions=[{"source":"spire","version":"1.15.1"},{"source":"spiffe-helper","version":"0.11.0"}]`; err != nil || !strings.Contains(outputs, want) {
		t.Errorf("%s lacks %s, %v", outputs, want, err)
	}
	if err := plans.Err(); err == nil || !strings.HasPrefix(err.Error(), "spiffe-helper 0.10.0: ") {
		t.Errorf("the alarm is %v", err)
	}
	released := plan(other, Facts{Tags: []hub.Tag{{Name: "v0.11.0", Commit: a}}, Releases: []hub.Release{{Tag: "v0.11.0-1"}, {Tag: "spiffe-helper-v0.11.0-2"}}})
	if due := released.Versions(); len(due) != 0 || !strings.Contains(released.Verdicts[0].Why, "packaging 2") {
		t.Errorf("due are %v, %+v", due, released.Verdicts)
	}
}

// Of a source that waits nothing is due, and why is said in words.
func TestWaiting(t *testing.T) {
	plans := Plans{scene{day: "2026-05-28"}.plan(t), Plan{Source: pkgdef.Source{Name: "tornjak", Waits: "nobody serves it"}}}
	content, err := plans.JSON()
	if err != nil {
		t.Fatal(err)
	}
	var got struct {
		Versions []Due
		Verdicts map[string][]Verdict
		Waiting  map[string]string
	}
	if err := json.Unmarshal(content, &got); err != nil {
		t.Fatal(err)
	}
	if _, planned := got.Verdicts["tornjak"]; planned || len(got.Versions) != 2 || got.Waiting["tornjak"] != "nobody serves it" || len(got.Waiting) != 1 {
		t.Errorf("%s", content)
	}
	var said bytes.Buffer
	if err := plans.Print(&said); err != nil || !strings.HasSuffix(said.String(), "\nnothing is due, it waits: nobody serves it\n") {
		t.Errorf("%s, error %v", said.String(), err)
	}
}

// What the checkout says of upstream's support is compared with its tags.
func TestSupported(t *testing.T) {
	for day, want := range map[string]string{
		"2026-05-28": "",
		"2025-12-31": "note: srpm/spire/source.yaml says, since 2026-05-20, that upstream supports 1.14 and 1.15; by its tags it is ",
	} {
		rules := scene{}.rules(t)
		rules.Source.Supported = pkgdef.Supported{Minors: []string{"1.14", "1.15"}, Day: "2026-05-20"}
		plan, err := Make(Facts{Tags: realTags(t, day)}, rules)
		if err != nil {
			t.Fatal(err)
		}
		var text bytes.Buffer
		if err := plan.Print(&text); err != nil {
			t.Fatal(err)
		}
		if got := text.String(); (want == "") == strings.Contains(got, "note: ") || !strings.Contains(got, want) {
			t.Errorf("%s: %q is not in\n%s", day, want, got)
		}
	}
}

func TestUnknownArchitecture(t *testing.T) {
	rules := scene{}.rules(t)
	rules.Arches = []string{"mips"}
	plan, err := Make(Facts{Tags: realTags(t, "2026-05-28")}, rules)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := (Plans{plan}).JSON(); err == nil || !strings.Contains(err.Error(), `architecture "mips" is not one of`) {
		t.Errorf("%v", err)
	}
}

func TestProxied(t *testing.T) {
	known, err := proxied(`{"Version":"v1.0.0","Origin":{"Hash":"aa"}} {"Version":"v1.0.1"}
{"Version":"v1.0.2","Error":{"Err":"404"}}`)
	if err != nil || !cmp.Equal(known, []Known{{"1.0.0", "aa", "the module proxy"}}) {
		t.Errorf("%v %v", known, err)
	}
	if _, err := proxied(`{"Version"`); err == nil {
		t.Error("half a value is read")
	}
}
