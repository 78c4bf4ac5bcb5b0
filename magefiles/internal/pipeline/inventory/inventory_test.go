package inventory

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pkgdef"
)

// What fits every machine is there once, however many there are.
func TestFilesForEveryMachine(t *testing.T) {
	source, err := pkgdef.LoadSource(filepath.Join("..", "..", "..", ".."), "spire")
	if err != nil {
		t.Fatal(err)
	}
	v := Version{
		Source: source, Number: "1.2.3", Arches: []string{"amd64", "arm64"}, Formats: []string{pkgdef.Deb, pkgdef.RPM},
		Packages: []pkgdef.Package{{Name: "one", Command: "cmd/one"}, {Name: "more"}},
	}
	var packages []string
	for _, name := range v.Files().Built {
		if strings.HasSuffix(name, ".deb") || strings.HasSuffix(name, ".rpm") {
			packages = append(packages, strings.NewReplacer(fmt.Sprintf("1.2.3-%d", source.Release), "V").Replace(name))
		}
	}
	want := "more-V.noarch.rpm more_V_all.deb one-V.aarch64.rpm one-V.x86_64.rpm one_V_amd64.deb one_V_arm64.deb"
	if got := strings.Join(packages, " "); got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

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
