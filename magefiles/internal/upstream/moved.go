package upstream

import (
	"fmt"
	"regexp"
	"strings"
)

var (
	commitForm = regexp.MustCompile(`^[0-9a-f]{40}$`)
	// recorded is the line of our release's notes that says what it was made from.
	recorded = regexp.MustCompile(`(?m)^upstream-commit:(.*)$`)
)

// moved says where a version's commit is another than it is known to be: the
// tag was moved, or somebody answers in upstream's stead. Nothing is built from
// it until a person has found out.
func (m *maker) moved(s *state) []string {
	if m.rules.Source.Own != "" { // of this repository: nobody else has a tag that could move
		return nil
	}
	var alarms []string
	tag := "v" + s.version.String()
	if s.commit == "" && len(s.own) > 0 {
		return []string{fmt.Sprintf("%s: upstream has no tag %s any more, of which we made %s: find out why", s.version, tag, s.own[0].Tag)}
	}
	if !commitForm.MatchString(s.commit) {
		return []string{fmt.Sprintf("%s: upstream's tag %s names %s, which is no commit", s.version, tag, show(s.commit))}
	}
	for _, known := range append(m.said(s), m.known...) {
		if known.Version == s.version.String() && known.Commit != s.commit {
			alarms = append(alarms, fmt.Sprintf("%s: upstream's tag %s is the commit %s, but %s says %s: find out why before anything is built from it",
				s.version, tag, s.commit, known.By, commit(known.Commit)))
		}
	}
	return alarms
}

// commit prints what should be one, and may be anything.
func commit(text string) string {
	if commitForm.MatchString(text) {
		return text
	}
	return show(text)
}

// said is what our own releases say of their version's commit.
func (m *maker) said(s *state) []Known {
	var known []Known
	for _, release := range s.own {
		lines := recorded.FindAllStringSubmatch(release.Notes, -1)
		if len(lines) == 0 && !release.Draft {
			m.note("our release %s does not say of which commit it was made", release.Tag)
		}
		for _, line := range lines {
			known = append(known, Known{s.version.String(), strings.Trim(line[1], " \t\r`"), "our release " + release.Tag})
		}
	}
	return known
}
