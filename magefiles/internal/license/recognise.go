package license

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/google/licensecheck"
)

// piece is the part of a text that is one license.
type piece struct{ id, text string }

// reading is what a text says.
type reading struct {
	whole   string
	terms   []term
	pieces  []piece
	remarks []string // what is beside the licenses, without copyright lines
	unknown string   // the start of a part that reads like a license of its own
	granted bool     // it holds a grant, see grants
}

// idleWords is how many words outside the known licenses may use a license's
// language; headings and lists of files are shorter or use none of it.
const idleWords = 12

var (
	// legal is the language of a license's terms, refers that of a pointer to
	// one, as notices have it too.
	legal  = regexp.MustCompile(`(?i)redistribut|permission|permitted|warrant|liabilit|\bgrant|prohibit|non-?commercial|\bshall\b|royalt|copyleft`)
	refers = regexp.MustCompile(`(?i)licen[cs]ed under|\bA?L?GPL|general public licen`)
	choice = regexp.MustCompile(`(?i)dual[- ]licen[cs]|at your option|either of|your choice|choose (either|one|between)`)
)

// quick knows the licenses that nearly all modules have. The library takes a
// second or more to compile all it knows, so that is left for the texts that
// quick does not explain; a relative of one of these (JSON of MIT, BSD-4-Clause
// of BSD-3-Clause) either does not match or leaves its extra clause over.
var quick = sync.OnceValue(func() *licensecheck.Scanner {
	family := set("Apache-2.0", "BSD-2-Clause", "BSD-2-Clause-Views", "BSD-3-Clause",
		"GooglePatentsFile", "ISC", "MIT", "MPL-2.0", "blessing")
	var few []licensecheck.License
	for _, l := range licensecheck.BuiltinLicenses() {
		if family[l.ID] {
			few = append(few, l)
		}
	}
	scanner, err := licensecheck.NewScanner(few)
	if err != nil {
		panic("compiling the library's own licenses: " + err.Error())
	}
	return scanner
})

// recognise reads one text with the common licenses, thorough with all.
func recognise(text string) reading { return read(text, quick().Scan) }
func thorough(text string) reading  { return read(text, licensecheck.Scan) }

func read(text string, scan func([]byte) licensecheck.Coverage) reading {
	r := reading{whole: text}
	at := 0
	for _, m := range scan([]byte(text)).Match {
		r.gap(text[at:m.Start])
		r.match(m.ID, text[m.Start:m.End])
		at = m.End
	}
	r.gap(text[at:])
	r.alternatives()
	return r
}

// match takes a part that the library knows.
func (r *reading) match(id, text string) {
	if grants[id] {
		r.granted = true
		r.remarks = append(r.remarks, strings.TrimSpace(text))
		return
	}
	if whole, ok := onlyThis[id]; ok {
		id = whole
	}
	r.pieces = append(r.pieces, piece{id, text})
	r.terms = append(r.terms, term{id})
}

// onlyThis are SPDX's names for what the library calls by a whole text's name:
// the text alone does not say "or any later version".
var onlyThis = map[string]string{
	"AGPL-3.0": "AGPL-3.0-only", "GPL-2.0": "GPL-2.0-only", "GPL-3.0": "GPL-3.0-only",
	"LGPL-2.1": "LGPL-2.1-only", "LGPL-3.0": "LGPL-3.0-only",
}

// gap takes a part between known licenses. Legal language in it means a
// license that the library does not know, or terms beside a known one.
func (r *reading) gap(text string) {
	text = strings.Trim(withoutCopyright(text), " \t\r\n-=_*#/.")
	count := len(strings.Fields(text))
	if count == 0 {
		return
	}
	if count > idleWords && r.unknown == "" && (legal.MatchString(text) || refers.MatchString(text)) {
		r.unknown = firstWords(text)
	}
	if count > 6 { // not just a heading such as "The MIT License (MIT)"
		r.remarks = append(r.remarks, text)
	}
}

// alternatives makes one term of two licenses, where the text itself offers a
// choice. Licenses side by side without such words all apply, and so do three
// or more: which of them the words mean is for a person to say.
func (r *reading) alternatives() {
	all := ids(r.terms)
	if len(all) == 2 && choice.MatchString(strings.Join(r.remarks, "\n")) {
		r.terms = []term{all}
	}
}

// orWhole is the reading for a file that a person has judged: where nothing
// was recognised, the remarks repeat the text and are dropped.
func (r reading) orWhole(text string) reading {
	if len(r.pieces) == 0 {
		return reading{whole: text}
	}
	return r
}

// explain reads the text again with all licenses where the common ones do not
// do, and gives the reading that checks, or the error of the thorough one.
func (r reading) explain(name string, carried bool) (reading, error) {
	known := r.unknown == "" || notice(name) && !legal.MatchString(r.whole)
	if known && r.check(name, carried) == nil {
		return r, nil
	}
	r = thorough(r.whole)
	return r, r.check(name, carried)
}

// check is nil when all of the file is explained and, unless it is only
// carried, may be linked.
func (r reading) check(name string, carried bool) error {
	for _, t := range r.terms {
		if !carried && !slices.ContainsFunc(t, func(id string) bool { return accepted[id] }) {
			return fmt.Errorf("%s is %w", t, ErrRefused)
		}
	}
	mute := len(r.terms) == 0 && !r.granted
	switch {
	case notice(name) || mute && companion(name) && len(r.remarks) == 0:
		return nil
	case r.unknown != "":
		return fmt.Errorf("%w: %q", ErrUnknown, r.unknown)
	case mute:
		return fmt.Errorf("%w: %q", ErrUnknown, firstWords(r.whole))
	}
	return nil
}

// asNotice is the reading of a notice: kept whole, copyright lines and all.
func (r reading) asNotice() reading {
	if len(r.pieces) == 0 {
		r.remarks = []string{strings.TrimSpace(r.whole)}
	}
	return r
}

func firstWords(text string) string {
	words := strings.Fields(text)
	return strings.Join(words[:min(len(words), 16)], " ")
}
