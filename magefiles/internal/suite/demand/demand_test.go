package demand

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/golden"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/run"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/suite/suitetest"
)

// tree is a checkout with a list of rows, and files beside it.
func tree(t *testing.T, rows string, files map[string]string) string {
	t.Helper()
	all := map[string]string{folder + "/x.yaml": "title: X\nsource: https://x.example/\nrows:\n" + rows}
	for name, content := range files {
		all[name] = content
	}
	return suitetest.Tree(t, all)
}

// says is what became of the one row of a checkout.
func says(t *testing.T, root string) string {
	t.Helper()
	lists, err := Load(root)
	if err != nil {
		t.Fatal(err)
	}
	state, why := lists[0].Rows[0].judge(t.Context(), root)
	return fmt.Sprintf("%s: %s", state, why)
}

// Each kind of row in each of its states.
func TestRows(t *testing.T) {
	t.Parallel()
	const wanted = "- {demand: d, answer: yes indeed, evidence: [{files: a/*.md, has: ['(?m)^x$'], lacks: [y+]}]}\n"
	const persons = "- {demand: d, evidence: [{files: a/1.md}], person: why, until: [{files: a/2.md, has: [done]}]}\n"
	for name, c := range map[string]struct {
		rows  string
		files map[string]string
		want  string
	}{
		"there":           {wanted, map[string]string{"a/1.md": "x\n", "a/2.md": "z\nx\n"}, "green: yes indeed (a/*.md)"},
		"no file":         {wanted, map[string]string{"b/1.md": "x\n"}, "red: there is no a/*.md"},
		"one without":     {wanted, map[string]string{"a/1.md": "x\n", "a/2.md": "xx\n"}, "red: a/2.md has nothing of the form (?m)^x$"},
		"one with":        {wanted, map[string]string{"a/1.md": "x\nyy\n"}, `red: a/1.md has "yy"`},
		"two are missing": {"- {demand: d, evidence: [{files: a}, {files: b}]}\n", nil, "red: there is no a; there is no b"},
		"a person's":      {persons, map[string]string{"a/1.md": "", "a/2.md": "not yet"}, "a person's: why"},
		"not begun":       {persons, map[string]string{"a/1.md": ""}, "a person's: why"},
		"done":            {persons, map[string]string{"a/1.md": "", "a/2.md": "done"}, "green: a/1.md, a/2.md"},
		"not prepared":    {persons, map[string]string{"a/2.md": "done"}, "red: there is no a/1.md"},
		"never seen":      {"- {demand: d, person: why}\n", nil, "a person's: why"},
		"only seen after": {"- {demand: d, person: why, until: [{files: a}]}\n", map[string]string{"a": ""}, "green: a"},
		"no repository":   {"- {demand: d, evidence: [{none-tracked: programs}]}\n", nil, "red: running git ls-files"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := says(t, tree(t, c.rows, c.files)); !strings.HasPrefix(got, c.want) {
				t.Errorf("%s\nwant %s", got, c.want)
			}
		})
	}
}

// What is no list says so, with the file and the row.
func TestLoad(t *testing.T) {
	t.Parallel()
	for rows, want := range map[string]string{
		"- {demand: d, evidence: [{file: a}]}\n": "field file not found",
		"- {person: why}\n":                      "x.yaml: row 1 (): it demands nothing",
		"- {demand: d}\n":                        "row 1 (d): it has neither evidence nor a person",
		"- {demand: d, evidence: [{files: a}], until: [{files: b}]}\n":    "there is no person",
		"- {demand: d, person: why}\n- {demand: d, person: why}\n":        "row 2 (d): it is there twice",
		"- {demand: d, evidence: [{has: [x]}]}\n":                         "evidence is one of",
		"- {demand: d, evidence: [{files: a, none-tracked: programs}]}\n": "evidence is one of",
		"- {demand: d, evidence: [{none-tracked: programs, has: [x]}]}\n": "has and lacks are of files",
		"- {demand: d, evidence: [{files: a, has: ['(']}]}\n":             "missing closing )",
		"- {demand: d, evidence: [{files: a, lacks: ['']}]}\n":            "an empty pattern says nothing",
		"- {demand: d, evidence: [{signed-after: HEAD}]}\n":               "is no commit of 40 hex digits",
		"- {demand: d, evidence: [{none-tracked: music}]}\n":              "is neither programs nor private keys",
		"- {demand: d, person: why, until: [{none-tracked: music}]}\n":    "is neither programs nor private keys",
		" []\n": "or no row",
	} {
		if _, err := Load(tree(t, rows, nil)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", rows, err, want)
		}
	}
	if _, err := Load(t.TempDir()); err == nil || !strings.Contains(err.Error(), "there is no list in tests/demands") {
		t.Errorf("without a list: %v", err)
	}
}

// repository is a tree under git, with two commits; the first one is given, too.
func repository(t *testing.T, files map[string]string) (root, first string, git func(...string) string) {
	t.Helper()
	root = suitetest.Tree(t, files)
	git = func(args ...string) string {
		t.Helper()
		out, err := run.New("git", append([]string{"-c", "user.name=Ada", "-c", "user.email=ada@example.org", "-c", "commit.gpgsign=false"}, args...)...).In(root).Output(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	git("init", "--quiet", "--initial-branch=main")
	git("add", "--all")
	git("commit", "--quiet", "--allow-empty", "--message=before")
	first = git("rev-parse", "HEAD")
	git("commit", "--quiet", "--allow-empty", "--signoff", "--message=signed")
	return root, first, git
}

func TestSignedOff(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		more [][]string // git's arguments
		want string     // of the error; empty where all is well
	}{
		"signed":      {},
		"not signed":  {[][]string{{"commit", "--quiet", "--allow-empty", "--message=x"}}, "not signed off by the author"},
		"by another":  {[][]string{{"commit", "--quiet", "--allow-empty", "--message=x", "--trailer=Signed-off-by: Bob <bob@example.org>"}}, "not signed off by the author"},
		"by two":      {[][]string{{"commit", "--quiet", "--allow-empty", "--message=x", "--trailer=Signed-off-by: Bob <bob@example.org>", "--signoff"}}, ""},
		"in the text": {[][]string{{"commit", "--quiet", "--allow-empty", "--message=x\n\nSigned-off-by: Ada <ada@example.org>\n\ny"}}, "not signed off by the author"},
		"a bot":       {[][]string{{"commit", "--quiet", "--allow-empty", "--message=x", "--author=dependabot[bot] <1+dependabot[bot]@users.noreply.github.com>"}}, ""},
		"a merge": {[][]string{
			{"switch", "--quiet", "--create", "side", "HEAD~"}, {"commit", "--quiet", "--allow-empty", "--signoff", "--message=x"}, {"switch", "--quiet", "main"},
			{"merge", "--quiet", "--no-ff", "--message=merge", "side"},
		}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			root, first, git := repository(t, nil)
			for _, args := range c.more {
				git(args...)
			}
			found, err := signedOff(t.Context(), root, first)
			if c.want == "" && (err != nil || !strings.HasPrefix(found, "commits after "+first[:12])) || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("%q, %v; want %q", found, err, c.want)
			}
			if head := git("rev-parse", "--short", "HEAD"); c.want != "" && err != nil && !strings.Contains(err.Error(), head) {
				t.Errorf("%v does not name %s", err, head)
			}
		})
	}
	root, first, _ := repository(t, nil)
	if _, err := signedOff(t.Context(), root, strings.Repeat("0", 39)+"1"); err == nil || !strings.Contains(err.Error(), "the history does not go back to 000000000000") {
		t.Errorf("without the commit: %v", err)
	}
	if found, err := signedOff(t.Context(), root, first); err != nil || found != "commits after "+first[:12]+": 1" {
		t.Errorf("%q, %v", found, err)
	}
}

func TestNoneTracked(t *testing.T) {
	t.Parallel()
	key := strings.Repeat("MIIEvQIBADANBgkqhkiG9w0BAQEFAASC", 4)
	for name, c := range map[string]struct {
		kind, content, want string
	}{
		"text":                {"programs", "#!/bin/sh\n", ""},
		"empty":               {"programs", "", ""},
		"a program":           {"programs", "\x7fELF\x02\x01\x01", "dir/file is a program of ELF's"},
		"a jar":               {"programs", "PK\x03\x04", "dir/file is a zip or jar"},
		"a key":               {"private keys", "-----BEGIN PRIVATE KEY-----\n" + key + "\n", "dir/file is a private key"},
		"an armoured key":     {"private keys", "x\n-----BEGIN PGP PRIVATE KEY BLOCK-----\nComment: x\n\n" + key + "\n", "dir/file is a private key"},
		"the name of one":     {"private keys", "text, \"-----BEGIN PRIVATE KEY-----\\n\", of a test\n", ""},
		"a public key":        {"private keys", "-----BEGIN PUBLIC KEY-----\n" + key + "\n", ""},
		"a key, for programs": {"programs", "-----BEGIN PRIVATE KEY-----\n" + key + "\n", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			root, _, _ := repository(t, map[string]string{"dir/file": c.content, "gone": "x"})
			err := errors.Join(os.Remove(filepath.Join(root, "gone")), os.WriteFile(filepath.Join(root, "untracked"), []byte("\x7fELF"), 0o600))
			if err != nil {
				t.Fatal(err)
			}
			found, err := noneTracked(t.Context(), root, c.kind)
			if c.want == "" && (err != nil || found != "no "+c.kind+" among 2 files") || c.want != "" && (err == nil || err.Error() != c.want) {
				t.Errorf("%q, %v; want %q", found, err, c.want)
			}
		})
	}
}

// The table, and that red is a failure where nothing else is.
func TestCheck(t *testing.T) {
	t.Parallel()
	rows := "- {demand: a file, step: first, evidence: [{files: here}]}\n- {demand: people, person: they are not here}\n"
	var out bytes.Buffer
	if err := Check(t.Context(), &out, tree(t, rows, map[string]string{"here": ""})); err != nil {
		t.Error(err)
	}
	rows += "- {demand: another file, step: second, evidence: [{files: there}]}\n"
	if err := Check(t.Context(), &out, tree(t, rows, map[string]string{"here": ""})); err == nil || !strings.Contains(err.Error(), "1 red") {
		t.Errorf("with a row that is red: %v", err)
	}
	golden.Check(t, "table.golden", out.String())
	if err := Check(t.Context(), &out, t.TempDir()); err == nil {
		t.Error("no list is a good one")
	}
}

// Of this checkout nothing is red, as far as its files say it: which commits there are, a
// runner's checkout does not know.
func TestThisCheckout(t *testing.T) {
	t.Parallel()
	lists, err := Load(suitetest.Root)
	if err != nil {
		t.Fatal(err)
	}
	for _, list := range lists {
		for _, row := range list.Rows {
			var ofFiles []Evidence
			for _, evidence := range row.Evidence {
				if evidence.Files != "" {
					ofFiles = append(ofFiles, evidence)
				}
			}
			if _, err := lookAll(t.Context(), suitetest.Root, ofFiles); err != nil {
				t.Errorf("%s: %s: %v", list.Title, row.Demand, err)
			}
		}
	}
}

// Each row can be red: where nothing is there, and, if it wants words, where files have none.
func TestEachRowIsSeenRed(t *testing.T) {
	t.Parallel()
	lists, err := Load(suitetest.Root)
	if err != nil {
		t.Fatal(err)
	}
	nothing, emptied := t.TempDir(), map[string]string{}
	for _, list := range lists {
		for _, row := range list.Rows {
			if state, says := row.judge(t.Context(), nothing); len(row.Evidence) > 0 && state != Red {
				t.Errorf("%s: %s: in an empty folder it is %s: %s", list.Title, row.Demand, state, says)
			}
			for _, evidence := range row.Evidence {
				emptied[strings.ReplaceAll(evidence.Files, "*", "x")] = ""
			}
		}
	}
	delete(emptied, "") // of evidence that is not of files
	root := suitetest.Tree(t, emptied)
	for _, list := range lists {
		for _, row := range list.Rows {
			words := slices.ContainsFunc(row.Evidence, func(e Evidence) bool { return len(e.Has) > 0 })
			if state, says := row.judge(t.Context(), root); words && state != Red {
				t.Errorf("%s: %s: with empty files it is %s: %s", list.Title, row.Demand, state, says)
			}
		}
	}
}

// The proposal has each row of the steps of maturity, with the place of its evidence, or
// why a person has to see to it.
func TestProposal(t *testing.T) {
	t.Parallel()
	lists, err := Load(suitetest.Root)
	if err != nil {
		t.Fatal(err)
	}
	table := "| step | point | where, and what is a person's |\n|---|---|---|\n"
	for _, list := range lists {
		if !strings.HasPrefix(list.Title, "SPIFFE") {
			continue
		}
		for _, row := range list.Rows {
			if row.Step != "proposal" && row.Step != "organisation" {
				table += fmt.Sprintf("| %s | %s | %s |\n", row.Step, row.Demand, where(row))
			}
		}
	}
	if !strings.Contains(suitetest.Text(t, ".github/PROPOSAL.md"), "\n\n"+table+"\n") {
		t.Errorf(".github/PROPOSAL.md does not have this table:\n%s", table)
	}
}

// where are the places of a row's evidence, and the person's part.
func where(row Row) string {
	var places []string
	for _, evidence := range row.Evidence {
		places = append(places, "`"+evidence.Files+"`")
	}
	text := strings.Join(places, ", ")
	if row.Person != "" {
		text = strings.TrimPrefix(text+"; "+row.Person, "; ")
	}
	return text
}
