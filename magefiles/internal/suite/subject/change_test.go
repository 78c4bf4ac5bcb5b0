package subject

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pkgdef"
)

// The packages with the keys get the version of a day, all of them and nothing else.
func TestDated(t *testing.T) {
	here, err := filepath.Abs(filepath.Join("..", "..", "..", ".."))
	if err != nil {
		t.Fatal(err)
	}
	root := t.TempDir()
	if err := (Checkout{Root: here, Log: t.Output()}).CopyDefinitions(t.Context(), root); err != nil {
		t.Fatal(err)
	}
	for range 2 { // also where they have it
		if err := Dated(root, time.Date(2031, 2, 3, 4, 5, 6, 0, time.UTC)); err != nil {
			t.Fatal(err)
		}
	}
	keyrings, err := pkgdef.LoadKeyrings(root)
	if err != nil || len(keyrings) < 2 {
		t.Fatalf("%d packages with keys, %v", len(keyrings), err)
	}
	for _, keyring := range keyrings {
		if keyring.Version != "2031.02.03" {
			t.Errorf("%s is of %s", keyring.Name, keyring.Version)
		}
	}
}
