package license

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// term is one thing that an expression demands: any of its alternatives.
type term []string

// String is the term in SPDX's grammar.
func (t term) String() string {
	if len(t) == 1 {
		return t[0]
	}
	return "(" + strings.Join(t, " OR ") + ")"
}

// sorted is the terms sorted, each once.
func sorted(terms []term) []term {
	order := func(a, b term) int { return strings.Compare(a.key(), b.key()) }
	list := slices.Clone(terms)
	slices.SortFunc(list, order)
	return slices.CompactFunc(list, func(a, b term) bool { return order(a, b) == 0 })
}

func (t term) key() string { return strings.Join(t, " OR ") }

// join is the SPDX expression that demands all terms, each once.
func join(terms []term) string {
	var parts []string
	for _, t := range terms {
		if s := t.String(); !slices.Contains(parts, s) {
			parts = append(parts, s)
		}
	}
	if len(parts) == 1 {
		return strings.Trim(parts[0], "()")
	}
	return strings.Join(parts, " AND ")
}

var spdxID = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9.+-]*( WITH [A-Za-z0-9.-]+)?$`)

// parse reads an expression of the form "A AND (B OR C)", or "B OR C": as
// deep as licenses of modules go.
func parse(expression string) ([]term, error) {
	parts := strings.Split(expression, " AND ")
	var terms []term
	for _, part := range parts {
		bare := part
		if strings.HasPrefix(part, "(") && strings.HasSuffix(part, ")") {
			bare = part[1 : len(part)-1]
		}
		t := term(strings.Split(bare, " OR "))
		if len(t) > 1 && bare == part && len(parts) > 1 {
			return nil, fmt.Errorf("license expression %q: AND beside OR needs parentheses", expression)
		}
		for _, id := range t {
			if !spdxID.MatchString(id) {
				return nil, fmt.Errorf("license expression %q: %q is no identifier", expression, id)
			}
		}
		slices.Sort(t)
		terms = append(terms, t)
	}
	return terms, nil
}

// ids is every identifier in the terms, sorted.
func ids(terms []term) []string {
	all := slices.Concat(terms...)
	slices.Sort(all)
	return slices.Compact([]string(all))
}

// accepted are the licenses, by the library's name for them, whose terms a
// statically linked binary package fulfils by carrying their texts (and, for
// MPL-2.0, by its source package). The names are SPDX's, checked against the
// library's list; what it calls otherwise than SPDX is not here and thus
// refused. The library's own types do not help: all its built-in licenses
// have the type Unknown.
var accepted = set(
	"0BSD", "Apache-2.0", "BSD-1-Clause", "BSD-2-Clause", "BSD-2-Clause-Patent",
	"BSD-2-Clause-Views", "BSD-3-Clause", "BSD-3-Clause-Clear", "BSD-Source-Code",
	"BSL-1.0", "BlueOak-1.0.0", "CC0-1.0", "ISC", "MIT", "MIT-0", "MPL-2.0",
	"NCSA", "PostgreSQL", "Python-2.0", "UPL-1.0", "Unicode-DFS-2015",
	"Unicode-DFS-2016", "Unlicense", "X11", "Zlib", "blessing", "bzip2-1.0.6",
	"curl", "libpng-2.0", "zlib-acknowledgement",
)

// grants are texts that give rights beside a license and demand nothing. SPDX
// has no identifier for them: they are kept as remarks.
var grants = set("GooglePatentClause", "GooglePatentsFile")

func set(names ...string) map[string]bool {
	m := map[string]bool{}
	for _, name := range names {
		m[name] = true
	}
	return m
}
