package suite

import (
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pkgdef"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/provenance"
)

// acceptedFile has the vulnerabilities that are shipped by decision.
const acceptedFile = "tests/vulnerabilities.yaml"

// acceptance is one of them.
type acceptance struct {
	ID            string    `yaml:"id"`
	Part          string    `yaml:"part"`
	Reason        string    `yaml:"reason"`
	Until         time.Time `yaml:"until"`
	Justification string    `yaml:"justification"`
}

// accepted are those of the checkout.
func (s Suite) accepted() ([]acceptance, error) {
	return loadAccepted(filepath.Join(s.Root, acceptedFile))
}

func loadAccepted(path string) ([]acceptance, error) {
	var all struct {
		Accepted []acceptance `yaml:"accepted"`
	}
	if err := pkgdef.Decode(path, &all); err != nil {
		return nil, fmt.Errorf("reading which vulnerabilities are accepted: %w", err)
	}
	var errs []error
	seen := map[[2]string]bool{}
	for i, one := range all.Accepted {
		err := one.validate()
		if key := [2]string{one.ID, one.Part}; err == nil && seen[key] {
			err = errors.New("it is there twice")
		} else {
			seen[key] = true
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: accepted %d (%s): %w", path, i+1, one.ID, err))
		}
	}
	return all.Accepted, errors.Join(errs...)
}

// advisoryForm is the form of the databases' names: letters, and then a number.
var advisoryForm = regexp.MustCompile(`^[A-Z]{2,10}-[A-Za-z0-9-]{1,60}$`)

func (a acceptance) validate() error {
	switch {
	case !advisoryForm.MatchString(a.ID):
		return fmt.Errorf("id %q is not such as GO-2026-1234 or CVE-2026-1234", a.ID)
	case a.Part == "":
		return errors.New("it has no part: say what has the vulnerability, as the bills of materials call it")
	case strings.TrimSpace(a.Reason) == "":
		return errors.New("it has no reason")
	case a.Until.IsZero() || !a.Until.Equal(a.Until.Truncate(24*time.Hour)):
		return errors.New("it has no last day: until, such as 2026-12-31")
	case a.Justification != "" && !slices.Contains(provenance.Justifications, a.Justification):
		return fmt.Errorf("justification %q is none of OpenVEX's: %s", a.Justification, strings.Join(provenance.Justifications, ", "))
	}
	return nil
}

// longest is for how long something can be accepted.
const longest = 366 * 24 * time.Hour

// onTime is an error where the last day is past, or is none.
func (a acceptance) onTime(now time.Time) error {
	switch day := a.Until.Format(time.DateOnly); {
	case !now.Before(a.Until.AddDate(0, 0, 1)):
		return fmt.Errorf("%s in %s was accepted until %s, and that is past: mend it, or decide again in %s", a.ID, a.Part, day, acceptedFile)
	case a.Until.Sub(now) > longest:
		return fmt.Errorf("%s in %s is accepted until %s, which is more than a year from now", a.ID, a.Part, day)
	}
	return nil
}

// covers says whether it is this vulnerability that is accepted.
func (a acceptance) covers(v vulnerability) bool {
	return a.Part == v.part && (a.ID == v.id || slices.Contains(v.aliases, a.ID))
}
