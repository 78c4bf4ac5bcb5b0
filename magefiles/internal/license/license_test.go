package license

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"runtime/debug"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/golden"
)

const (
	blessing = `The author disclaims copyright to this source code.  In place of
a legal notice, here is a blessing:

   May you do good and not evil.
   May you find forgiveness for yourself and forgive others.
   May you share freely, never taking more than you give.
`
	mit = `Copyright (c) 2020 Somebody

Permission is hereby granted, free of charge, to any person obtaining a copy
of this software and associated documentation files (the "Software"), to deal
in the Software without restriction, including without limitation the rights
to use, copy, modify, merge, publish, distribute, sublicense, and/or sell
copies of the Software, and to permit persons to whom the Software is
furnished to do so, subject to the following conditions:

The above copyright notice and this permission notice shall be included in all
copies or substantial portions of the Software.
INSERT
THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR
IMPLIED, INCLUDING BUT NOT LIMITED TO THE WARRANTIES OF MERCHANTABILITY,
FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE
AUTHORS OR COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER
LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM,
OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE
SOFTWARE.
`
	gpl = `This program is free software; you can redistribute it and/or modify
it under the terms of the GNU General Public License as published by
the Free Software Foundation; either version 2 of the License, or
(at your option) any later version.

This program is distributed in the hope that it will be useful,
but WITHOUT ANY WARRANTY; without even the implied warranty of
MERCHANTABILITY or FITNESS FOR A PARTICULAR PURPOSE.  See the
GNU General Public License for more details.
`
	invented = "You may use this on Tuesdays. Redistribution is permitted with a cake to the author, who gives no warranty at all.\n"
)

// text is what a function writes.
func text(t *testing.T, write func(io.Writer) error) string {
	t.Helper()
	var b bytes.Buffer
	if err := write(&b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func mitWith(clause string) string { return strings.Replace(mit, "INSERT", clause, 1) }

// tree is the request for the fake tree.
func tree(t *testing.T) Request {
	t.Helper()
	modules, err := Vendored("testdata/tree")
	if err != nil {
		t.Fatal(err)
	}
	return Request{
		Tree:    "testdata/tree",
		Main:    Module{Path: "example.org/main", Version: "v1.2.3"},
		Modules: modules,
		Extra: []Component{
			{Name: "sqlite", Version: "3.1", Place: "vendor/example.org/bsd/sqlite3.c", Files: []File{{"sqlite3.c", blessing}}},
			{Name: "C library", Files: []File{{"COPYRIGHT", mitWith("")}}},
		},
	}
}

// with is the request plus one component.
func with(req Request, name, file, text string) Request {
	req.Extra = append(slices.Clone(req.Extra), Component{Name: name, Version: "v9", Files: []File{{file, text}}})
	return req
}

func scan(t *testing.T, req Request) Set {
	t.Helper()
	set, err := Scan(req)
	if err != nil {
		t.Fatal(err)
	}
	return set
}

func TestScan(t *testing.T) {
	set := scan(t, tree(t))
	var got []string
	for _, e := range set.Entries {
		got = append(got, strings.Join([]string{e.Name, e.Version, e.Place, e.License, strings.Join(e.Copyright, ";")}, "|"))
	}
	want := []string{
		"example.org/main|v1.2.3|*|Apache-2.0|Copyright 2020 The Main Project",
		"C library|||MIT|Copyright (c) 2020 Somebody",
		"example.org/apache|v1.0.0|vendor/example.org/apache/*|Apache-2.0|Copyright 2015-2023 Apache Holder",
		"example.org/apache/nested/module|v1.1.0|vendor/example.org/apache/nested/module/*|BSD-3-Clause|Copyright (c) 2019 Nested Inc. All rights reserved.",
		"example.org/fork-of-bsd|v0.2.0|vendor/example.org/bsd/*|BSD-3-Clause|Copyright (c) 2019 The BSD Authors. All rights reserved.",
		"sqlite|3.1|vendor/example.org/bsd/sqlite3.c|blessing|the authors of sqlite",
		"example.org/dual|v2.0.0|vendor/example.org/dual/*|Apache-2.0 OR MIT|Copyright (c) 2018 Dual Authors",
		"example.org/dual|v2.0.0|vendor/example.org/dual/third_party/fork/*|MIT|Copyright (c) 2018 Fork Authors",
		"example.org/notice|v3.0.0+incompatible|vendor/example.org/notice/*|Apache-2.0|Copyright 2021 Notice Authors",
		// A notice in a folder of its own says nothing of the license.
		"example.org/notice|v3.0.0+incompatible|vendor/example.org/notice/inner/*|Apache-2.0|Copyright 2022 Inner Authors",
		"example.org/patents|v0.0.0-20200101000000-abcdefabcdef|vendor/example.org/patents/*|ISC|Copyright (c) 2012-2016 Dave Collins <dave@davec.name>",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("entries differ (-want +got):\n%s", diff)
	}
	expression := "Apache-2.0 AND (Apache-2.0 OR MIT) AND BSD-3-Clause AND ISC AND MIT AND blessing"
	if got := set.Expression(); got != expression {
		t.Errorf("Expression() = %q, want %q", got, expression)
	}
}

func TestWrite(t *testing.T) {
	set := scan(t, tree(t))
	golden.Check(t, "copyright", text(t, func(w io.Writer) error {
		return set.DEP5(w, Upstream{"main", "https://example.org/main"})
	}))
	golden.Check(t, "third-party.txt", text(t, set.ThirdParty))
}

// The order of the input and the number of processors must not show.
func TestDeterministic(t *testing.T) {
	req := tree(t)
	write := func() string {
		var b bytes.Buffer
		set := scan(t, req)
		_ = set.DEP5(&b, Upstream{"main", "x"})
		_ = set.ThirdParty(&b)
		return b.String()
	}
	first := write()
	slices.Reverse(req.Modules)
	slices.Reverse(req.Extra)
	if first != write() {
		t.Error("the order of the modules changes the output")
	}
}

func TestScanRefuses(t *testing.T) {
	tests := map[string]struct {
		file, text string
		want       error
		says       string
	}{
		"unknown":             {"LICENSE", invented, ErrUnknown, "Tuesdays"},
		"unknown beside MIT":  {"LICENSE", mitWith("") + "\n" + invented, ErrUnknown, "Tuesdays"},
		"pointer beside MIT":  {"LICENSE", mitWith("") + "\nBut all the files below the directory c/ of this module are licensed under other terms.\n", ErrUnknown, "directory c/"},
		"empty":               {"LICENSE", "\n", ErrUnknown, "LICENSE"},
		"only prose":          {"COPYING", "Ask the author.\n", ErrUnknown, "Ask the author."},
		"GPL":                 {"COPYING", gpl, ErrRefused, "GPL-2.0-or-later"},
		"GPL in a notice":     {"NOTICE", gpl, ErrRefused, "GPL-2.0-or-later"},
		"JSON":                {"LICENSE", mitWith("\nThe Software shall be used for Good, not Evil.\n"), ErrRefused, "JSON"},
		"only a notice":       {"NOTICE", "Made by somebody.\n", ErrNone, "no license text"},
		"only copyright":      {"COPYRIGHT", "Copyright 2020 Somebody\n", ErrNone, "no license text"},
		"unknown patent text": {"PATENTS", invented, ErrUnknown, "Tuesdays"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := Scan(with(tree(t), "example.org/bad", test.file, test.text))
			var bad *Error
			if !errors.As(err, &bad) || !errors.Is(err, test.want) {
				t.Fatalf("error %v, want %v", err, test.want)
			}
			if bad.Module != "example.org/bad" || bad.Version != "v9" || !errors.Is(test.want, ErrNone) && bad.File != test.file {
				t.Errorf("the error names %q %q %q", bad.Module, bad.Version, bad.File)
			}
			if !strings.Contains(err.Error(), test.says) {
				t.Errorf("error %q does not say %q", err, test.says)
			}
		})
	}
}

// What is only carried may be under any license that is known.
func TestCarried(t *testing.T) {
	req := with(tree(t), "example.org/bad", "COPYING", gpl)
	req.Carried = true
	if got := scan(t, req).Expression(); !strings.Contains(got, "GPL-2.0-or-later") {
		t.Errorf("expression %s", got)
	}
	req = with(req, "example.org/worse", "LICENSE", invented)
	if _, err := Scan(req); !errors.Is(err, ErrUnknown) || errors.Is(err, ErrRefused) {
		t.Errorf("error %v", err)
	}
}

func TestScanNamesAll(t *testing.T) {
	req := with(with(tree(t), "one", "LICENSE", gpl), "two", "LICENSE", invented)
	_, err := Scan(req)
	if err == nil || !strings.Contains(err.Error(), "one@v9") || !strings.Contains(err.Error(), "two@v9") {
		t.Errorf("error %v, want both components in it", err)
	}
}

func TestScanMissing(t *testing.T) {
	req := tree(t)
	req.Modules = append(req.Modules, Module{Path: "example.org/absent", Version: "v1"})
	if _, err := Scan(req); err == nil || !strings.Contains(err.Error(), "example.org/absent@v1") {
		t.Errorf("error %v, want one that names the module that is not vendored", err)
	}
	req.Tree = "testdata/nothing"
	if _, err := Scan(req); err == nil {
		t.Error("a tree that is not there is no error")
	}
}

func TestAllow(t *testing.T) {
	const bad = "example.org/bad"
	tests := map[string]struct {
		file, text string
		allow      Allowance
		want       string // license of the component; empty when it has no entry
	}{
		"GPL":            {"COPYING", gpl, Allowance{File: "COPYING", License: "GPL-2.0-or-later"}, "GPL-2.0-or-later"},
		"unknown":        {"LICENSE", invented, Allowance{File: "LICENSE", License: "LicenseRef-Cake"}, "LicenseRef-Cake"},
		"one of two":     {"LICENSE", mitWith("") + "\n" + invented, Allowance{File: "LICENSE", License: "MIT"}, "MIT"},
		"none, by text":  {"NOTICE", "By me.\n", Allowance{License: "LicenseRef-Cake", Text: invented}, "LicenseRef-Cake"},
		"none, common":   {"NOTICE", "By me.\n", Allowance{License: "Apache-2.0"}, "Apache-2.0"},
		"choice":         {"LICENSE", gpl, Allowance{File: "LICENSE", License: "MIT AND (GPL-2.0-or-later OR ISC)"}, "(GPL-2.0-or-later OR ISC) AND MIT"},
		"covers nothing": {"LICENSE.docs", invented, Allowance{Module: "example.org/bad", File: "LICENSE.docs"}, ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			req := with(tree(t), bad, test.file, test.text)
			if test.want == "" {
				req.Extra[len(req.Extra)-1].Files = append(req.Extra[len(req.Extra)-1].Files, File{"LICENSE", mitWith("")})
				test.want = "MIT"
			}
			test.allow.Module, test.allow.Reason = bad, "a test"
			req.Allow = []Allowance{test.allow}
			set := scan(t, req)
			i := slices.IndexFunc(set.Entries, func(e Entry) bool { return e.Name == bad })
			if i < 0 || set.Entries[i].License != test.want {
				t.Fatalf("entry %d of %v, want license %q", i, set.Entries, test.want)
			}
			var b strings.Builder
			if err := set.DEP5(&b, Upstream{"x", "y"}); err != nil || strings.Contains(b.String(), "License: \n") {
				t.Errorf("error %v or an empty license in\n%s", err, b.String())
			}
		})
	}
}

// What of a file is the license is said by the allowance; the file stays whole elsewhere.
func TestAllowPart(t *testing.T) {
	e := Entry{}
	part := Allowance{Module: "example.org/bad", File: "COPYING", License: "GPL-2.0-or-later OR LicenseRef-Cake", Text: invented, Reason: "r"}
	if err := e.allow(part, reading{whole: "As one chooses.\n\n" + invented + "\n" + gpl}); err != nil {
		t.Fatal(err)
	}
	for _, p := range e.pieces {
		if p.id == "LicenseRef-Cake" && p.text != invented {
			t.Errorf("the text of %s is %q", p.id, p.text)
		}
	}
	if len(e.pieces) != 2 {
		t.Errorf("%d pieces", len(e.pieces))
	}
}

func TestAllowErrors(t *testing.T) {
	good := Allowance{Module: "m", File: "LICENSE", License: "MIT", Reason: "r"}
	tests := map[string]struct {
		list []Allowance
		says string
	}{
		"no module":  {[]Allowance{{File: "x", Reason: "r"}}, "names no module"},
		"no reason":  {[]Allowance{{Module: "m", File: "x"}}, "gives no reason"},
		"nothing":    {[]Allowance{{Module: "m", Reason: "r"}}, "neither file nor license"},
		"no text":    {[]Allowance{{Module: "m", License: "LicenseRef-X", Reason: "r"}}, "gives no text of LicenseRef-X"},
		"twice":      {[]Allowance{good, good}, "two license allowances for m LICENSE"},
		"expression": {[]Allowance{{Module: "sqlite", File: "sqlite3.c", License: "MIT; rm", Reason: "r"}}, `"MIT; rm" is no identifier`},
		"grammar":    {[]Allowance{{Module: "sqlite", File: "sqlite3.c", License: "MIT AND ISC OR X11", Reason: "r"}}, "needs parentheses"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			req := tree(t)
			req.Allow = test.list
			if _, err := Scan(req); err == nil || !strings.Contains(err.Error(), test.says) {
				t.Errorf("error %v, want %q", err, test.says)
			}
		})
	}
}

func TestMergeAndInSource(t *testing.T) {
	whole := scan(t, tree(t))
	req := tree(t)
	req.Modules, req.Extra = req.Modules[:1], nil
	merged := Merge(scan(t, req), whole)
	if diff := cmp.Diff(whole.Expression(), merged.Expression()); diff != "" || len(merged.Entries) != len(whole.Entries) {
		t.Errorf("merging a part with the whole gives %d entries of %d:\n%s", len(merged.Entries), len(whole.Entries), diff)
	}
	inside := whole.InSource()
	if len(inside.Entries) != len(whole.Entries)-1 || strings.Contains(inside.Entries[1].Name, "C library") {
		t.Errorf("InSource keeps what is not in the source: %v", inside.Entries)
	}
}

func TestVendored(t *testing.T) {
	got, err := Vendored("testdata/tree")
	if err != nil {
		t.Fatal(err)
	}
	want := []Module{
		{"example.org/apache", "v1.0.0", ""},
		{"example.org/apache/nested/module", "v1.1.0", ""},
		{"example.org/bsd", "v0.2.0", "example.org/fork-of-bsd"},
		{"example.org/dual", "v2.0.0", ""},
		{"example.org/notice", "v3.0.0+incompatible", ""},
		{"example.org/patents", "v0.0.0-20200101000000-abcdefabcdef", ""},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("modules differ (-want +got):\n%s", diff)
	}
}

func TestLinked(t *testing.T) {
	info := &debug.BuildInfo{Main: debug.Module{Path: "main", Version: "v1"}, Deps: []*debug.Module{
		{Path: "plain", Version: "v2"},
		{Path: "forked", Version: "v3", Replace: &debug.Module{Path: "fork", Version: "v4"}},
		{Path: "pinned", Version: "v5", Replace: &debug.Module{Path: "pinned", Version: "v6"}},
	}}
	main, deps := modulesOf(info)
	want := []Module{{"plain", "v2", ""}, {"forked", "v4", "fork"}, {"pinned", "v6", ""}}
	if diff := cmp.Diff(want, deps); diff != "" || main != (Module{Path: "main", Version: "v1"}) {
		t.Errorf("main %v, modules (-want +got):\n%s", main, diff)
	}
	if _, _, err := Linked("license_test.go"); err == nil || !strings.Contains(err.Error(), "license_test.go") {
		t.Errorf("error %v, want one that names the file", err)
	}
}

func TestClaims(t *testing.T) {
	tests := map[string]string{
		"// Copyright 2009 The Go Authors. All rights reserved.": "Copyright 2009 The Go Authors. All rights reserved.",
		" *  (c) 2012 Somebody":                                  "(c) 2012 Somebody",
		"© 2012 Somebody":                                        "© 2012 Somebody",
		"Copyright The SPIFFE Project":                           "Copyright The SPIFFE Project",
		"Portions Copyright (C) 2011 Blake":                      "Portions Copyright (C) 2011 Blake",
		"Copyright (c) <year> <owner>":                           "",
		"   Copyright [yyyy] [name of copyright owner]":          "",
		"copyright notice that is included in the work":          "",
		"COPYRIGHT HOLDERS AND CONTRIBUTORS BE LIABLE":           "",
		"(c) You must retain, in the Source form":                "",
		"Copyright Licenses:":                                    "",
		"The above copyright notice 2009":                        "",
	}
	for line, want := range tests {
		if got := claimOf(line); got != want {
			t.Errorf("claimOf(%q) = %q, want %q", line, got, want)
		}
	}
}

func TestNames(t *testing.T) {
	for name, want := range map[string]bool{
		"LICENSE": true, "license.md": true, "COPYING": true, "NOTICE.txt": true, "LICENSE-MIT": true,
		"GO-LICENSE": true, "LICENSE_list": true, "UNLICENSE": true, "PATENTS": true, "LICENSES": true,
		"license.go": false, "check_license.sh": false, "notice_response.go": false, "README.md": false, "licensee": false,
	} {
		if got := isText(name); got != want {
			t.Errorf("isText(%q) = %t", name, got)
		}
	}
}

// All that a person has to decide is named at once, with its text and a guess, and
// once where two scans name it; what is something else stays an error.
func TestUndecided(t *testing.T) {
	const own = "You may redistribute this with my permission, on the days of the week that I like, and on no other one.\n"
	req := with(with(tree(t), "example.org/a", "LICENSE", mitWith("")+"\n"+own), "example.org/b", "COPYING", own)
	req.Extra = append(req.Extra, Component{Name: "example.org/c", Version: "v9"})
	_, links := Scan(req)
	req.Carried = true
	_, carries := Scan(req)
	full := errors.New("the disk is full")
	found, other := Undecided(fmt.Errorf("scanning: %w", links), carries, full, nil)
	var got []string
	for _, one := range found {
		got = append(got, fmt.Sprintf("%s %s guess=%q text=%d", one.Module, one.File, one.Guess, len(one.Text)))
	}
	want := []string{
		fmt.Sprintf(`example.org/a LICENSE guess="MIT" text=%d`, len(mitWith(""))+1+len(own)),
		fmt.Sprintf(`example.org/b COPYING guess="" text=%d`, len(own)), `example.org/c  guess="" text=0`,
	}
	if diff := cmp.Diff(want, got); diff != "" || !errors.Is(other, full) {
		t.Errorf("%v (-want +got):\n%s", other, diff)
	}
	if found, other := Undecided(nil); found != nil || other != nil {
		t.Errorf("of nothing: %v %v", found, other)
	}
}
