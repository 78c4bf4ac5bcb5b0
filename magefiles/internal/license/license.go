// Package license finds the licenses of everything that is linked into a Go
// binary, from the texts in its vendored source tree, and writes them down as
// Debian's and rpm's packages want them.
//
// It fails closed: a text that no known license explains, a component without
// any, and a license that static linking may not take are errors until the
// caller's table of allowances says otherwise and why.
package license

import (
	"cmp"
	"errors"
	"fmt"
	"path"
	"runtime"
	"slices"
	"sync"
)

// Request says what to scan.
type Request struct {
	Tree    string      // upstream's source tree, with vendor/
	Main    Module      // upstream itself; its texts lie at the top of Tree
	Modules []Module    // what is linked in, as Linked or Vendored list it
	Extra   []Component // what is linked in but no Go module
	Allow   []Allowance // what a person has looked at
	// Carried says that a source package has the modules, linked or not: what
	// may not be linked may still be given away. Its texts are needed all the
	// same.
	Carried bool
}

// Component is something linked in that the module list does not know: the Go
// standard library, a C library, C source inside a module.
type Component struct {
	Name, Version string
	// Place is what Debian's copyright file gives as Files. It is empty for a
	// component whose source is not in the tree.
	Place string
	Files []File // its license texts
}

// File is one license or notice text.
type File struct{ Name, Text string }

// Allowance is a decision about one file that a person made, with the reason.
type Allowance struct {
	Module string // the component's name
	File   string // the file, relative to the module; empty when it has none
	// License is the SPDX expression that the file counts as, accepted even
	// where the rules would refuse it. Empty means that the file covers nothing
	// that is linked, and is left out.
	License string
	// Text is the license text for a module that has no file. It may be empty
	// for what Debian has in /usr/share/common-licenses.
	Text   string
	Reason string // why; must not be empty
}

// Entry is the result for one component, or for one directory of a module
// that has license texts of its own.
type Entry struct {
	Name, Version string
	Place         string   // as in Component
	License       string   // SPDX expression
	Copyright     []string // copyright lines as found, in order
	Files         []File   // the texts verbatim, notices included

	terms   []term
	pieces  []piece
	remarks []string // notices and what stands between licenses, verbatim
}

// Set is the licenses of one or several binaries; the main component first,
// the others sorted by place.
type Set struct{ Entries []Entry }

// Scan reads the license texts of all components. Its error joins one *Error
// for every component or file that it cannot accept.
func Scan(req Request) (Set, error) {
	allow, err := newAllowances(req.Allow)
	if err != nil {
		return Set{}, err
	}
	found, err := collect(req)
	if err != nil {
		return Set{}, err
	}
	for i := range found {
		found[i].carried = req.Carried
	}
	return judge(found, recogniseAll(found), allow)
}

// judge turns the texts found into entries, or into all the errors there are.
// A nested directory all of whose texts are left out has no entry.
func judge(found []place, known map[string]reading, allow allowances) (Set, error) {
	var set Set
	entries, errs := make([]Entry, len(found)), make([]error, len(found))
	parallel(len(found), func(i int) { entries[i], errs[i] = found[i].entry(known, allow) })
	inherit(found, entries)
	for _, e := range entries {
		if len(e.pieces) > 0 || len(e.remarks) > 0 {
			set.Entries = append(set.Entries, e)
		}
	}
	if err := errors.Join(errs...); err != nil {
		return Set{}, err
	}
	return set, nil
}

// inherit gives a directory that has notices but no license of its own that of
// its module.
func inherit(found []place, entries []Entry) {
	for i := range entries {
		e := &entries[i]
		if !found[i].nested || len(e.terms) > 0 || len(e.remarks) == 0 {
			continue
		}
		for j := range entries {
			if top := entries[j]; !found[j].nested && top.Name == e.Name && top.Version == e.Version {
				e.terms, e.pieces, e.License = top.terms, top.pieces, top.License
			}
		}
	}
}

// Merge joins the sets of several binaries into the set of their source. The
// main component of the first set stays first.
func Merge(sets ...Set) Set {
	var all []Entry
	seen := map[[3]string]bool{}
	for _, set := range sets {
		for _, e := range set.Entries {
			key := [3]string{e.Name, e.Version, e.Place}
			if !seen[key] {
				seen[key] = true
				all = append(all, e)
			}
		}
	}
	if len(all) > 1 {
		slices.SortStableFunc(all[1:], byPlace)
	}
	return Set{all}
}

// InSource is the set without the components whose source is not in the tree,
// as the copyright file of a source package wants it.
func (s Set) InSource() Set {
	outside := func(e Entry) bool { return e.Place == "" }
	return Set{slices.DeleteFunc(slices.Clone(s.Entries), outside)}
}

// Expression is the SPDX expression over all components: the main one's
// license first, the others sorted.
func (s Set) Expression() string {
	if len(s.Entries) == 0 {
		return ""
	}
	var rest []term
	for _, e := range s.Entries[1:] {
		rest = append(rest, e.terms...)
	}
	return join(slices.Concat(sorted(s.Entries[0].terms), sorted(rest)))
}

// byPlace puts a directory before what is in it: in Debian's copyright file
// the last pattern that matches counts.
func byPlace(a, b Entry) int {
	return cmp.Or(cmp.Compare(a.Place, b.Place), cmp.Compare(a.Name, b.Name))
}

// recogniseAll reads every distinct text once, on all processors: most modules
// carry one of the same few texts.
func recogniseAll(found []place) map[string]reading {
	var texts []string
	for _, p := range found {
		for _, f := range p.files {
			texts = append(texts, f.Text)
		}
	}
	slices.Sort(texts)
	texts = slices.Compact(texts)
	readings := make([]reading, len(texts))
	parallel(len(texts), func(i int) { readings[i] = recognise(texts[i]) })
	known := make(map[string]reading, len(texts))
	for i, text := range texts {
		known[text] = readings[i]
	}
	return known
}

// parallel calls f with 0 to n-1, on all processors.
func parallel(n int, f func(int)) {
	next := make(chan int)
	var wg sync.WaitGroup
	for range min(n, runtime.GOMAXPROCS(0)) {
		wg.Go(func() {
			for i := range next {
				f(i)
			}
		})
	}
	for i := range n {
		next <- i
	}
	close(next)
	wg.Wait()
}

// entry applies the rules to one place: every text is explained, and a
// component has at least one license.
func (p place) entry(known map[string]reading, allow allowances) (Entry, error) {
	e := Entry{Name: p.name, Version: p.version, Place: p.pattern}
	var errs []error
	for _, f := range p.files {
		errs = append(errs, e.add(f, p, known[f.Text], allow))
	}
	if a, ok := allow.find(p.name, ""); ok && len(e.terms) == 0 && !p.nested {
		errs = append(errs, e.allow(a, reading{whole: a.Text}))
	} else if len(e.terms) == 0 && !p.nested && errors.Join(errs...) == nil {
		errs = append(errs, &Error{Module: p.name, Version: p.version, Err: ErrNone})
	}
	e.License = join(sorted(e.terms))
	e.Copyright = p.copyright(e)
	return e, errors.Join(errs...)
}

// add takes one file into the entry, by an allowance or by what was read.
func (e *Entry) add(f File, p place, r reading, allow allowances) error {
	if a, ok := allow.find(p.name, path.Join(p.inside, f.Name)); ok {
		if a.License == "" {
			return nil
		}
		e.Files = append(e.Files, f)
		return e.allow(a, r.orWhole(f.Text))
	}
	r, err := r.explain(f.Name, p.carried)
	if err != nil {
		guess := join(sorted(r.terms))
		return &Error{Module: p.name, Version: p.version, File: path.Join(p.inside, f.Name), Err: err, Guess: guess, Text: f.Text}
	}
	if notice(f.Name) {
		r = r.asNotice()
	}
	e.Files = append(e.Files, f)
	e.take(r.terms, r)
	return nil
}

// take adds terms and what of the reading belongs to them.
func (e *Entry) take(terms []term, r reading) {
	e.terms = append(e.terms, terms...)
	e.remarks = append(e.remarks, r.remarks...)
	for _, p := range r.pieces {
		if slices.ContainsFunc(terms, func(t term) bool { return slices.Contains(t, p.id) }) {
			e.pieces = append(e.pieces, p)
		}
	}
}

// allow adds what an allowance says in place of what was read. A license that
// was not read in the text has the allowance's, or else the whole text as its own.
func (e *Entry) allow(a Allowance, r reading) error {
	terms, err := parse(a.License)
	if err != nil {
		return fmt.Errorf("reading the allowance for %s: %w", a.Module, err)
	}
	for _, id := range ids(terms) {
		if !slices.ContainsFunc(r.pieces, func(p piece) bool { return p.id == id }) {
			r.pieces = append(r.pieces, piece{id, cmp.Or(a.Text, r.whole)})
		}
	}
	e.take(terms, r)
	return nil
}
