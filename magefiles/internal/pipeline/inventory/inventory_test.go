package inventory

import (
	"path/filepath"
	"testing"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pkgdef"
)

// What is missing and what is too much is named.
func TestExactly(t *testing.T) {
	source, err := pkgdef.LoadSource(filepath.Join("..", "..", "..", ".."), "spire")
	if err != nil {
		t.Fatal(err)
	}
	v := Version{Source: source, Packages: []pkgdef.Package{{Name: "one"}}, Number: "1.2.3", Arches: []string{"amd64"}, Formats: []string{pkgdef.Deb}}
	all := v.Files().Built
	if err := v.Exactly(all); err != nil {
		t.Error(err)
	}
	err = v.Exactly(append(all[1:], "more"))
	want := v.Surplus("more").Error() + "\nspire 1.2.3 lacks " + all[0]
	if err == nil || err.Error() != want {
		t.Errorf("error %v, want %s", err, want)
	}
}
