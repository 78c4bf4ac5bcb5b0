package upstream

import (
	"cmp"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/hub"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pkgdef"
)

// Rules say what is due.
type Rules struct {
	// Minors is how many of the newest minor versions are kept up.
	Minors int
	// Floor is the oldest version that is ever due; the zero value is none.
	Floor Version
	// Source is what is planned; its Release is the number of the packaging that would
	// be built.
	Source pkgdef.Source
	// Arches are the architectures to build for.
	Arches []string
	// Only is the one version to be done, as a person asks for it, whatever it is
	// and even if it is released; empty for those that are due.
	Only string
	// Expected are the names of all assets that the release of a version has, as
	// the packaging of that number.
	Expected func(version string, release int) []string
}

// Plan is what is to be done.
type Plan struct {
	Source   pkgdef.Source
	Verdicts []Verdict // newest first
	// Supported are the minor versions that upstream gives patches to, newest first.
	Supported []Line
	Alarms    []string // what a person has to look at; never a build
	Notes     []string // what was ignored and should not be there
	arches    []string
}

// Verdict says of a version whether it is due, and why.
type Verdict struct {
	Version string `json:"version"`
	Commit  string `json:"commit"`
	Due     bool   `json:"due"`
	Why     string `json:"why"`
}

// Line is a minor version, with its newest patch.
type Line struct {
	Minor  string `json:"minor"`
	Newest string `json:"newest"`
}

// Versions are those that are due, newest first.
func (p Plan) Versions() []string {
	versions := []string{}
	for _, verdict := range p.Verdicts {
		if verdict.Due {
			versions = append(versions, verdict.Version)
		}
	}
	return versions
}

// own is one of our releases of a version.
type own struct {
	hub.Release
	number int
}

// state is what there is of a version.
type state struct {
	version Version
	commit  string // of upstream's tag; empty where there is none
	own     []own  // the highest number first; of one number, the published first
	newest  bool   // patch of its minor
	kept    bool   // its minor is one of those kept up
}

// maker makes one plan.
type maker struct {
	rules    Rules
	plan     Plan
	known    []Known
	states   map[string]*state
	released map[string]Version // the newest one released, by minor
}

// Make makes the plan. It asks nobody, and nothing that is not in facts decides.
func Make(facts Facts, rules Rules) (Plan, error) {
	m := maker{rules: rules, known: facts.Known, states: map[string]*state{}, released: map[string]Version{}, plan: Plan{Source: rules.Source, arches: rules.Arches}}
	m.tags(facts.Tags)
	if len(m.states) == 0 {
		return Plan{}, fmt.Errorf("none of upstream's %d tags is of the form v1.2.3: is it the right repository?", len(facts.Tags))
	}
	m.minors()
	m.releases(facts.Releases)
	if rules.Only != "" && m.states[rules.Only] == nil {
		return Plan{}, fmt.Errorf("upstream has no tag v%s: see which versions there are by a plan without one", rules.Only)
	}
	for _, s := range m.sorted() {
		m.plan.Verdicts = append(m.plan.Verdicts, m.verdict(s))
	}
	slices.Sort(m.plan.Notes) // GitHub's lists have no order to rely on
	return m.plan, nil
}

func (m *maker) note(format string, values ...any) {
	m.plan.Notes = append(m.plan.Notes, fmt.Sprintf(format, values...))
}

func (m *maker) alarm(format string, values ...any) {
	m.plan.Alarms = append(m.plan.Alarms, fmt.Sprintf(format, values...))
}

// tags takes in upstream's tags.
func (m *maker) tags(tags []hub.Tag) {
	for _, tag := range tags {
		version, ok := ParseTag(tag.Name)
		switch {
		case ok:
			// A tag that moved while the pages were read is there twice.
			if earlier := m.states[version.String()]; earlier != nil && earlier.commit != tag.Commit {
				m.known = append(m.known, Known{version.String(), earlier.commit, "upstream's own list, a moment before,"})
			}
			m.states[version.String()] = &state{version: version, commit: tag.Commit}
		case hostile(tag.Name):
			m.note("upstream's tag %s is ignored", show(tag.Name))
		}
	}
}

// sorted has the newest version first.
func (m *maker) sorted() []*state {
	return slices.SortedFunc(maps.Values(m.states), func(a, b *state) int { return b.version.Compare(a.version) })
}

// minors marks the newest minors, and the newest patch of each.
func (m *maker) minors() {
	seen := map[string]bool{}
	for _, s := range m.sorted() {
		minor := s.version.Minor()
		s.newest = !seen[minor]
		seen[minor] = true
		s.kept = len(seen) <= m.rules.Minors
		if s.newest && len(seen) <= pkgdef.SupportedMinors {
			m.plan.Supported = append(m.plan.Supported, Line{minor, s.version.String()})
		}
	}
	known := m.rules.Source.Supported
	if seen := Minors(m.plan.Supported); len(known.Minors) > 0 && !slices.Equal(seen, known.Minors) {
		m.note("srpm/%s/source.yaml says, since %s, that upstream supports %s; by its tags it is %s: change supported there",
			m.rules.Source.Name, known.Day, strings.Join(known.Minors, " and "), strings.Join(seen, " and "))
	}
}

// Minors are the minor versions alone, the oldest first.
func Minors(lines []Line) []string {
	minors := make([]string, 0, len(lines))
	for _, line := range slices.Backward(lines) {
		minors = append(minors, line.Minor)
	}
	return minors
}

// releases takes in ours.
func (m *maker) releases(releases []hub.Release) {
	for _, release := range releases {
		version, number, ok := ParseOwn(m.rules.Source, release.Tag)
		if !ok {
			if hostile(release.Tag) {
				m.note("our release %d with the tag %s is ignored", release.ID, show(release.Tag))
			}
			continue
		}
		m.strangers(release)
		m.take(version, own{release, number})
	}
	for _, s := range m.states {
		slices.SortStableFunc(s.own, func(a, b own) int {
			return cmp.Or(cmp.Compare(b.number, a.number), cmp.Compare(drafted(a), drafted(b)), cmp.Compare(a.ID, b.ID))
		})
	}
}

func (m *maker) take(version Version, release own) {
	s := m.states[version.String()]
	if s == nil {
		s = &state{version: version}
		m.states[version.String()] = s
	}
	s.own = append(s.own, release)
	if minor := version.Minor(); !release.Draft && version.Compare(m.released[minor]) > 0 {
		m.released[minor] = version
	}
}

func drafted(o own) int {
	if o.Draft {
		return 1
	}
	return 0
}

// strangers notes assets whose names are not such as ours have.
func (m *maker) strangers(release hub.Release) {
	for _, asset := range release.Assets {
		if hostile(asset.Name) || strings.Contains(asset.Name, "/") {
			m.note("the asset %s of our release %s is not of ours", show(asset.Name), release.Tag)
		}
	}
}

// verdict decides; the order of the questions matters.
func (m *maker) verdict(s *state) Verdict {
	verdict := Verdict{Version: s.version.String(), Commit: s.commit}
	if alarms := m.moved(s); len(alarms) > 0 {
		m.plan.Alarms = append(m.plan.Alarms, alarms...)
		verdict.Why = "ALARM: its tag is not what it was"
		return verdict
	}
	if m.rules.Only != "" {
		verdict.Due, verdict.Why = m.asked(s)
		return verdict
	}
	if m.rules.Floor.Compare(s.version) > 0 {
		verdict.Why = "below the floor " + m.rules.Floor.String()
		return verdict
	}
	if len(s.own) > 0 {
		verdict.Due, verdict.Why = m.begun(s)
		return verdict
	}
	verdict.Due, verdict.Why = m.fresh(s)
	return verdict
}

// fresh decides about a version of which we have nothing.
func (m *maker) fresh(s *state) (bool, string) {
	minor := s.version.Minor()
	released := m.released[minor]
	switch {
	case !s.kept:
		return false, "older minor"
	case s.newest:
		return true, fmt.Sprintf("newest patch of %s, not released", minor)
	case released.number == nil:
		return false, fmt.Sprintf("older than the newest patch of %s", minor)
	case s.version.Compare(released) > 0:
		return true, fmt.Sprintf("newer than %s, the newest of %s that is released", released, minor)
	}
	return false, fmt.Sprintf("older than %s, which is released", released)
}

// asked decides where one version was asked for. A whole release is done again,
// which looks at all that is there and changes none of it.
func (m *maker) asked(s *state) (bool, string) {
	switch {
	case s.version.String() != m.rules.Only:
		return false, "not asked for"
	case len(s.own) == 0:
		return true, "asked for"
	}
	due, why := m.begun(s)
	return due || why == complete, "asked for; " + why
}

// complete is why nothing is to be done.
const complete = "released whole"

// begun decides about a version of which we have a release, or a part of one.
func (m *maker) begun(s *state) (bool, string) {
	top := s.own[0]
	for _, other := range s.own[1:] {
		if other.Draft {
			m.note("our release %d is a second draft of %s: delete it, unless a run is under way", other.ID, other.Tag)
		}
	}
	missing := lacks(top.Release, m.rules.Expected(s.version.String(), top.number))
	switch {
	case top.number > m.rules.Source.Release:
		return false, fmt.Sprintf("there is packaging %d, newer than %d, which would be built", top.number, m.rules.Source.Release)
	case top.Draft:
		return true, fmt.Sprintf("half a release: %s is a draft", top.Tag)
	case len(missing) > 0 && top.Immutable && top.number == m.rules.Source.Release:
		m.alarm("%s: the release %s is locked and %s: raise the release number in source.yaml", s.version, top.Tag, summary(missing))
		return false, "ALARM: its release is locked and " + summary(missing)
	case len(missing) > 0:
		return true, summary(missing)
	case top.number < m.rules.Source.Release && s.newest && s.kept:
		return true, fmt.Sprintf("packaging %d is to follow %d", m.rules.Source.Release, top.number)
	}
	return false, complete
}

func summary(missing []string) string {
	text := missing[0]
	if len(missing) > 1 {
		text += fmt.Sprintf(" (and %d more)", len(missing)-1)
	}
	return text
}

// sum is the digest of an asset as GitHub has it.
var sum = regexp.MustCompile(`^sha256:[0-9a-f]{64}$`)

// lacks says what a release should have and does not. Servers that know no
// digests at all do not lack them.
func lacks(release hub.Release, expected []string) []string {
	there, digests := map[string]hub.Asset{}, false
	for _, asset := range release.Assets {
		there[asset.Name] = asset
		digests = digests || asset.Digest != ""
	}
	var missing []string
	for _, name := range expected {
		switch asset, ok := there[name]; {
		case !ok:
			missing = append(missing, "lacks "+name)
		case asset.State != hub.Uploaded:
			missing = append(missing, fmt.Sprintf("has %s in the state %s", name, show(asset.State)))
		case digests && !sum.MatchString(asset.Digest):
			missing = append(missing, fmt.Sprintf("has %s without a digest", name))
		}
	}
	return missing
}
