package license

import (
	"errors"
	"fmt"
)

// What can be wrong with a component; an *Error wraps one of them.
var (
	ErrNone    = errors.New("no license text")
	ErrUnknown = errors.New("not a known license")
	ErrRefused = errors.New("not a license that may be linked statically")
)

// Error is a component, and a file of it, that may not be shipped as it is.
type Error struct {
	Module, Version string
	File            string // relative to the module; empty when it has none
	Err             error  // wraps ErrNone, ErrUnknown or ErrRefused
	// Text is the file's, and Guess what was recognised in it, as an SPDX expression:
	// for the person who decides.
	Text, Guess string
}

// Error names the module, the version and the file.
func (e *Error) Error() string {
	name := e.Module
	if e.Version != "" {
		name += "@" + e.Version
	}
	if e.File == "" {
		return fmt.Sprintf("license of %s: %v", name, e.Err)
	}
	return fmt.Sprintf("license of %s: %s: %v", name, e.File, e.Err)
}

// Unwrap gives the reason.
func (e *Error) Unwrap() error { return e.Err }

// Undecided are the components and files that the errors of scans name, each once;
// other is what else they say.
func Undecided(errs ...error) (found []*Error, other error) {
	seen := map[[2]string]bool{}
	var walk func(error)
	walk = func(err error) {
		var several interface{ Unwrap() []error }
		var one *Error
		switch {
		case errors.As(err, &several):
			for _, part := range several.Unwrap() {
				walk(part)
			}
		case errors.As(err, &one):
			if key := [2]string{one.Module, one.File}; !seen[key] {
				seen[key] = true
				found = append(found, one)
			}
		default:
			other = errors.Join(other, err)
		}
	}
	for _, err := range errs {
		walk(err)
	}
	return found, other
}

// allowances are found by module and file.
type allowances map[[2]string]Allowance

func newAllowances(list []Allowance) (allowances, error) {
	all := allowances{}
	for _, a := range list {
		key := [2]string{a.Module, a.File}
		switch _, twice := all[key]; {
		case a.Module == "":
			return nil, errors.New("a license allowance names no module")
		case a.Reason == "":
			return nil, fmt.Errorf("the license allowance for %s %s gives no reason", a.Module, a.File)
		case a.File == "" && a.License == "":
			return nil, fmt.Errorf("the license allowance for %s gives neither file nor license", a.Module)
		case a.File == "" && a.Text == "" && !inCommon(a.License):
			return nil, fmt.Errorf("the license allowance for %s gives no text of %s", a.Module, a.License)
		case twice:
			return nil, fmt.Errorf("two license allowances for %s %s", a.Module, a.File)
		}
		all[key] = a
	}
	return all, nil
}

// inCommon says whether Debian keeps the text of a single license.
func inCommon(license string) bool {
	_, ok := common[license]
	return ok
}

func (all allowances) find(module, file string) (Allowance, bool) {
	a, ok := all[[2]string{module, file}]
	return a, ok
}
