package deb822

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const sources = `Package: demo
Binary: one, two
Description: small
 for
 .
 tests
Checksums-Sha256:
 aa 1 demo.dsc
 bb 22 demo.tar.xz
 of form
Files:
 cc 1 demo.dsc

Package: other
`

func TestRead(t *testing.T) {
	all := Split([]byte("\n" + sources + "\n\n\n"))
	if len(all) != 2 || all[1] != "Package: other\n" || string(all[0])+"\n"+string(all[1]) != sources {
		t.Fatalf("the stanzas are %q", all)
	}
	for name, want := range map[string]string{"Package": "demo", "Binary": "one, two", "Description": "small", "Files": "", "Version": "", "package": ""} {
		if got := all[0].Get(name); got != want {
			t.Errorf("%s is %q, not %q", name, got, want)
		}
	}
	want := []File{{"aa", 1, "demo.dsc"}, {"bb", 22, "demo.tar.xz"}}
	if diff := cmp.Diff(want, all[0].Files("Checksums-Sha256")); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
	values, err := all[0].Values()
	if err != nil || values["Description"] != "small\n for\n .\n tests" || values["Files"] != "\n cc 1 demo.dsc" || len(values) != 5 {
		t.Errorf("%q, %v", values, err)
	}
	for _, bad := range []Stanza{"x\n", " x\n", "Package: x\n\nVersion: 1\n"} {
		if values, err := bad.Values(); err == nil || !strings.HasSuffix(err.Error(), "is no line of a control file") {
			t.Errorf("%q is %q", bad, values)
		}
	}
}

// What is not changed stays as it is.
func TestWith(t *testing.T) {
	got := Split([]byte(sources))[0].With("Binary", "three").With("Version", "1")
	if want := strings.Replace(strings.TrimSuffix(sources, "\nPackage: other\n"), "one, two", "three", 1); string(got) != want {
		t.Errorf("it is\n%s, not\n%s", got, want)
	}
}

func TestField(t *testing.T) {
	for want, got := range map[string]string{
		"A: b\n":                Field("A", "b"),
		"A:\n b\n .\n  c\n .\n": Field("A", "", "b ", "", " c", " "),
		"A: b \tc\n d\n":        Field("A", "b \tc ", "d\t"),
	} {
		if got != want {
			t.Errorf("it is %q, not %q", got, want)
		}
	}
}

// Only what is said of the one file changes, in all three lists.
func TestUpdate(t *testing.T) {
	const changes = `Format: 1.8
Changes:
 demo (1) stable; urgency=medium
 .
   * d41d8cd98f00b204e9800998ecf8427e 0 demo.dsc is not in a list.
Checksums-Sha1:
 da39a3ee5e6b4b0d3255bfef95601890afd80709 0 demo.dsc
 da39a3ee5e6b4b0d3255bfef95601890afd80709 0 other-demo.dsc
Checksums-Sha256:
 e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855 0 demo.dsc
Files:
 d41d8cd98f00b204e9800998ecf8427e 0 net optional demo.dsc
`
	got, err := Update([]byte(changes), "demo.dsc", "signed\n")
	if err != nil {
		t.Fatal(err)
	}
	want := strings.NewReplacer(
		" da39a3ee5e6b4b0d3255bfef95601890afd80709 0 demo.dsc", " a4ccc88e397942684694a1353974c28c71ba2c19 7 demo.dsc",
		" e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855 0 demo.dsc", " ad093de033f89b590459503f94d25ea4a36fd044f7ce6d674f43e0d8412161f9 7 demo.dsc",
		"\n d41d8cd98f00b204e9800998ecf8427e 0 net optional demo.dsc", "\n c5c7316a866499995563d79049a8e617 7 net optional demo.dsc",
	).Replace(changes)
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for _, lack := range []string{"da39", "e3b0", "d41d8cd98f00b204e9800998ecf8427e 0 net"} {
		_, err := Update([]byte(strings.ReplaceAll(changes, "\n "+lack, "\n x")), "demo.dsc", "")
		if err == nil || err.Error() != "it does not list demo.dsc by its MD5, SHA-1 and SHA-256" {
			t.Errorf("without %s: %v", lack, err)
		}
	}
}
