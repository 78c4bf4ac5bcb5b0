package apkfile_test

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/apkfile"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/apkfile/apkfiletest"
)

// What is put together is what is taken apart, signed or not, and always the same bytes.
func TestRead(t *testing.T) {
	made := apkfiletest.Package(t, "demo", "1.2.3-r1", "x86_64", "text")
	for _, signed := range []bool{false, true} {
		want := made
		if signed {
			want.Key, want.Signature = "somebody.rsa.pub", []byte("signature")
		}
		content := apkfiletest.Bytes(t, want)
		got, err := apkfile.Read(content)
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("%v\n%s", err, diff)
		}
		if !bytes.Equal(apkfiletest.Bytes(t, got), content) {
			t.Error("other bytes")
		}
		if err := got.Check(); err != nil {
			t.Error(err)
		}
	}
}

// A line more is another package; what it installs is the same.
func TestWithFields(t *testing.T) {
	made := apkfiletest.Package(t, "demo", "1.2.3-r1", "x86_64", "text")
	more, err := made.WithFields(time.Unix(1, 0), apkfile.Field{Name: "origin", Value: "another"})
	if err != nil {
		t.Fatal(err)
	}
	fields, err := more.Fields()
	if got := apkfile.Values(fields, "origin"); err != nil || !slices.Equal(got, []string{"up", "another"}) {
		t.Errorf("%v: %q", err, got)
	}
	if more.Identity() == made.Identity() || !bytes.Equal(more.Data, made.Data) {
		t.Error("the same package, or another content")
	}
	if err := more.Check(); err != nil {
		t.Error(err)
	}
}

func TestReadBad(t *testing.T) {
	made := apkfiletest.Package(t, "demo", "1.2.3-r1", "x86_64", "text")
	signed := made
	signed.Key, signed.Signature = "somebody.rsa.pub", []byte("signature")
	head := bytes.TrimSuffix(apkfiletest.Bytes(t, signed), slices.Concat(made.Control, made.Data))
	weak := signed
	weak.Key = "../somebody"
	for name, c := range map[string]struct {
		content []byte
		want    string
	}{
		"nothing":          {nil, "0 parts"},
		"a signature only": {head, "0 parts"},
		"text":             {[]byte("no gzip"), "reading a part of it"},
		"cut short":        {made.Control[:len(made.Control)-4], "reading a part of it"},
		"two signatures":   {slices.Concat(head, head, made.Control), "not what it begins with"},
		"a late signature": {slices.Concat(made.Control, head), "not what it begins with"},
		"a key's path":     {apkfiletest.Bytes(t, weak), "one by .SIGN.RSA512.KEY is read"},
		"too many":         {slices.Concat(made.Control, made.Data, made.Data), "3 parts"},
	} {
		if _, err := apkfile.Read(c.content); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}
