package pkgdef

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// SupportedMinors is how many of the newest minor versions upstream gives patches to.
const SupportedMinors = 2

// Supported are upstream's minor versions that still get patches, as far as this
// checkout knows: a build asks nobody.
type Supported struct {
	Minors []string // such as 1.15, the oldest first
	Day    string   // on which somebody looked, such as 2026-11-29
}

var minorForm = regexp.MustCompile(`^(0|[1-9][0-9]{0,5})\.(0|[1-9][0-9]{0,5})$`)

// check refuses what is no minor version or no day; that nothing is known is no mistake.
func (s Supported) check() error {
	var errs []error
	for _, minor := range s.Minors {
		if !minorForm.MatchString(minor) {
			errs = append(errs, fmt.Errorf("supported: minors: %q is not of the form MAJOR.MINOR, such as 1.15", minor))
		}
	}
	if errs == nil && !slices.IsSortedFunc(s.Minors, compareMinors) {
		errs = append(errs, fmt.Errorf("supported: minors: %s are not in order, the oldest first", strings.Join(s.Minors, ", ")))
	}
	if _, err := time.Parse(time.DateOnly, s.Day); len(s.Minors) > 0 && err != nil {
		errs = append(errs, fmt.Errorf("supported: day %q is not of the form 2026-11-29", s.Day))
	}
	return errors.Join(errs...)
}

// compareMinors compares what is of the form of minor versions.
func compareMinors(a, b string) int { return slices.Compare(numbers(a), numbers(b)) }

// numbers are those of a version, of which the form was checked.
func numbers(version string) (all []int) {
	for part := range strings.SplitSeq(version, ".") {
		n, _ := strconv.Atoi(part)
		all = append(all, n)
	}
	return all
}

// Unsupported says why users should take another version than this one, in a line;
// empty where upstream supports it, as far as is known. A minor version that is newer
// than all that are known came after somebody looked.
func (s Source) Unsupported(version string) string {
	known := s.Supported
	if len(known.Minors) == 0 {
		return ""
	}
	minor := version[:max(0, strings.LastIndex(version, "."))]
	if slices.Contains(known.Minors, minor) || compareMinors(minor, known.Minors[len(known.Minors)-1]) > 0 {
		return ""
	}
	return fmt.Sprintf("upstream gives no more patches to %s, but to %s, by srpm/%s/source.yaml of %s", minor, strings.Join(known.Minors, " and "), s.Name, known.Day)
}
