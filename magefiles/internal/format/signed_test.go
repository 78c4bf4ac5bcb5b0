package format_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/format"
)

// asked notes how it was asked to sign, and verify.
type asked struct{ how string }

func (a *asked) RPM(_ context.Context, from, to string) error {
	a.how = "rpm " + from + " " + to
	return nil
}
func (a *asked) DSC(_ context.Context, from, to string) error {
	a.how = "dsc " + from + " " + to
	return nil
}
func (a *asked) APK(_ context.Context, from, to string) error {
	a.how = "apk " + from + " " + to
	return nil
}
func (a *asked) Changes(_ context.Context, from, to, dsc string) error {
	a.how = "changes " + from + " " + to + " " + dsc
	return nil
}

// trusting takes rpms, and texts that say yes.
type trusting struct{}

var errUntrusted = errors.New("signed by somebody else")

func (trusting) RPM(_ context.Context, file string) error {
	if filepath.Base(file) == "good.rpm" {
		return nil
	}
	return errUntrusted
}

func (t trusting) APK(ctx context.Context, file string) error {
	return t.RPM(ctx, strings.TrimSuffix(file, ".apk")+".rpm")
}

func (trusting) Clear(content []byte) ([]byte, error) {
	if string(content) == "yes" {
		return content, nil
	}
	return nil, errUntrusted
}

// Each file is signed in its format's way, and debs in none.
func TestSigned(t *testing.T) {
	for file, want := range map[string]string{
		"a-1-1.x86_64.rpm": "rpm a-1-1.x86_64.rpm to/a-1-1.x86_64.rpm", "a-1-1.src.rpm": "rpm a-1-1.src.rpm to/a-1-1.src.rpm",
		"a_1-1.dsc": "dsc a_1-1.dsc to/a_1-1.dsc", "a_1-1_source.changes": "changes a_1-1_source.changes to/a_1-1_source.changes to/a_1-1.dsc",
		"a_1-r1_x86_64.apk": "apk a_1-r1_x86_64.apk to/a_1-r1_x86_64.apk",
		"a_1-1_amd64.deb":   "", "a_1.orig.tar.xz": "", "a-1-1.x86_64.rpm.cdx.json": "", "SHA256SUMS": "",
	} {
		how, ok := format.Signed(file)
		var by asked
		if ok {
			if err := how.Sign(t.Context(), &by, file, "to/"+file); err != nil {
				t.Error(err)
			}
		}
		if by.how != want || ok != (want != "") {
			t.Errorf("%s is signed as %q, want %q", file, by.how, want)
		}
	}
}

func TestVerified(t *testing.T) {
	dir := t.TempDir()
	for name, c := range map[string]struct {
		content string
		want    error
	}{
		"good.rpm": {"", nil}, "bad.rpm": {"", errUntrusted}, "good.apk": {"", nil}, "bad.apk": {"", errUntrusted},
		"good.dsc": {"yes", nil}, "bad.dsc": {"no", errUntrusted}, "bad.changes": {"no", errUntrusted},
	} {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, []byte(c.content), 0o644); err != nil {
			t.Fatal(err)
		}
		how, _ := format.Signed(file)
		if err := how.Verify(t.Context(), trusting{}, file); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
	how, _ := format.Signed("x.dsc")
	if err := how.Verify(t.Context(), trusting{}, filepath.Join(dir, "none.dsc")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("what is not there: %v", err)
	}
}
