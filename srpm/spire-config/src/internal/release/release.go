// Package release knows which versions of SPIRE may follow one another.
package release

import (
	"fmt"
	"strconv"
	"strings"
)

// A Version is one of SPIRE.
type Version struct{ Major, Minor, Patch int }

// Parse reads X.Y.Z, and leaves out what a packager or a prerelease adds.
func Parse(text string) (Version, error) {
	numbers, _, _ := strings.Cut(strings.TrimPrefix(text, "v"), "-")
	parts := strings.Split(numbers, ".")
	if len(parts) != 3 {
		return Version{}, fmt.Errorf("%q is no version of SPIRE: want X.Y.Z", text)
	}
	var read [3]int
	for i, part := range parts {
		number, err := strconv.Atoi(part)
		if err != nil || number < 0 {
			return Version{}, fmt.Errorf("%q is no version of SPIRE: want X.Y.Z", text)
		}
		read[i] = number
	}
	return Version{read[0], read[1], read[2]}, nil
}

func (v Version) String() string { return fmt.Sprintf("%d.%d.%d", v.Major, v.Minor, v.Patch) }

// minors is how many minor versions v is ahead of another.
func (v Version) minors(of Version) int { return (v.Major-of.Major)*1000 + v.Minor - of.Minor }

// OlderThan says whether v cannot use what the other has made of a database: an older
// minor version.
func (v Version) OlderThan(other Version) bool { return v.minors(other) < 0 }

// Server says whether a server may go from one version to another, and why not. It
// migrates its database at the start, by one minor version, which the minor version
// before can still use.
func Server(from, to Version) error {
	switch steps := to.minors(from); {
	case steps > 1:
		return fmt.Errorf("from %s to %s are %d minor versions, and a server goes one at a time: upgrade to %d.%d first", from, to, steps, from.Major, from.Minor+1)
	case steps < -1:
		return fmt.Errorf("from %s back to %s are %d minor versions: its database can be used by the minor version before, and by none that is older", from, to, -steps)
	}
	return nil
}

// Agent says whether an agent of that version works with a server of the other.
func Agent(agent, server Version) error {
	switch steps := agent.minors(server); {
	case steps > 0:
		return fmt.Errorf("an agent of %s is newer than its server of %s: upgrade servers first, and downgrade agents first", agent, server)
	case steps < -1:
		return fmt.Errorf("an agent of %s is %d minor versions older than its server of %s: one is the most", agent, -steps, server)
	}
	return nil
}
