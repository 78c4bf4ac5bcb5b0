package suite

import (
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/artifact"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/format"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pipeline"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pkgdef"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/sign"
)

// believing is a suite of a checkout that has a key, and what it asks for.
func (s *served) believing(key sign.Certificate) (Suite, pipeline.Options) {
	s.Helper()
	root, err := filepath.Abs(checkout)
	if err != nil {
		s.Fatal(err)
	}
	own := s.TempDir()
	keys := filepath.Join(own, pipeline.KeysDir)
	if err := os.MkdirAll(keys, 0o755); err != nil {
		s.Fatal(err)
	}
	if err := os.Symlink(filepath.Join(root, "srpm"), filepath.Join(own, "srpm")); err != nil {
		s.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(keys, "key.asc"), sign.Armoured(key), 0o600); err != nil {
		s.Fatal(err)
	}
	p := pipeline.Pipeline{Root: own, Dist: artifact.Dist(s.TempDir()), Log: s.Output()}
	return Suite{Root: own, Pipeline: p, Log: s.Output()}, pipeline.Options{Arches: []string{runtime.GOARCH}}
}

// What is upgraded from is what was published, by the checkout's key and the digests of
// the ledger; on a machine that only tests, what another one took from there.
func TestShipped(t *testing.T) {
	s := newServed(t)
	number, _, _ := strings.Cut(s.version, "-")
	suite, o := s.believing(s.key.signer.Certificate())
	_, to := s.publish(day)
	t.Setenv(archiveAddress, to.URL)
	for unpublished, address := range map[string]string{"1.0.0": to.URL, number: to.URL + "/nothing"} {
		t.Setenv(archiveAddress, address)
		if found, err := suite.shipped(t.Context(), o, unpublished); err != nil || found.Version != "" {
			t.Errorf("%s of %s: %+v, %v", unpublished, address, found, err)
		}
	}
	t.Setenv(archiveAddress, to.URL)
	found, err := suite.shipped(t.Context(), o, number)
	if err != nil || found.Version != s.version {
		t.Fatalf("%+v, %v", found, err)
	}
	s.isShipped(found)
	travelling := t.TempDir()
	if err := os.MkdirAll(filepath.Join(travelling, shippedFolder, number+"-1", "x"), 0o755); err != nil { // of a run before
		t.Fatal(err)
	}
	t.Setenv(earlierFolder, travelling)
	if err := suite.handOnShipped(t.Context(), found); err != nil {
		t.Fatal(err)
	}
	t.Setenv(archiveAddress, "")
	handed, err := suite.shipped(t.Context(), o, number)
	if err != nil || handed.Version != s.version || !strings.HasPrefix(handed.Files[0], travelling) {
		t.Fatalf("%+v, %v", handed, err)
	}
	s.isShipped(handed)
	t.Setenv(earlierFolder, "")
	t.Setenv(archiveAddress, to.URL)
	s.refusesOthers(o, number)
}

// isShipped wants exactly the packages to install, as they were signed.
func (s *served) isShipped(found pipeline.Shipped) {
	s.Helper()
	var want, got []string
	for _, file := range s.signed {
		if _, ok := format.Of(file); ok {
			want = append(want, s.digest(file))
		}
	}
	for _, file := range found.Files {
		got = append(got, s.digest(file))
	}
	slices.Sort(want)
	slices.Sort(got)
	if !slices.Equal(got, want) {
		s.Errorf("the packages are %q, not %q", got, want)
	}
}

func (s *served) digest(file string) string {
	s.Helper()
	sum, _, err := artifact.Digest(file)
	if err != nil {
		s.Fatal(err)
	}
	return sum + " " + filepath.Base(file)
}

// refusesOthers wants nothing to be taken that another key has signed.
func (s *served) refusesOthers(o pipeline.Options, number string) {
	s.Helper()
	other, err := newTestKey(s.Context(), "Somebody else <else@example.org>", s.key.signer.Time())
	if err != nil {
		s.Fatal(err)
	}
	defer func() { _ = other.close() }()
	suite, _ := s.believing(other.signer.Certificate())
	_, err = suite.shipped(s.Context(), o, number)
	if err == nil || !strings.Contains(err.Error(), "it is not a ledger that a trusted key has signed") {
		s.Errorf("by another key: %v", err)
	}
}

// A published package is the same in the fixture, and an rpm's signature is the fixture's.
func TestOfferShipped(t *testing.T) {
	s := newServed(t)
	fixtures, err := newTestKey(t.Context(), "Fixture <fixture@example.org>", s.key.signer.Time())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = fixtures.close() }()
	var shipped pipeline.Shipped
	for _, file := range s.signed {
		if _, ok := format.Of(file); ok {
			shipped.Version, shipped.Files = s.version, append(shipped.Files, file)
		}
	}
	to := &fixture{place: t.TempDir(), key: fixtures}
	to.Log = t.Output()
	if err := to.offerShipped(t.Context(), shipped); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(to.versions, []string{s.version}) || len(to.published) != len(shipped.Files) {
		t.Fatalf("%q, %q", to.versions, to.published)
	}
	trusted := sign.NewKeyring(fixtures.signer.Certificate())
	for i, file := range to.published {
		if how, ok := format.Signed(file); ok {
			if err := how.Verify(t.Context(), trusted, file); err != nil {
				t.Errorf("%s: %v", file, err)
			}
			one, _ := unsignedSum(file)
			if other, _ := unsignedSum(shipped.Files[i]); one != other {
				t.Errorf("%s has another header", file)
			}
		} else if s.digest(file) != s.digest(shipped.Files[i]) {
			t.Errorf("%s is not what was published", file)
		}
	}
}

// The packages with the keys get the version of a day, all of them and nothing else.
func TestDated(t *testing.T) {
	here, err := filepath.Abs(checkout)
	if err != nil {
		t.Fatal(err)
	}
	root := t.TempDir()
	if err := (Suite{Root: here, Log: t.Output()}).copyDefinitions(t.Context(), root); err != nil {
		t.Fatal(err)
	}
	if err := dated(root, time.Date(2031, 2, 3, 4, 5, 6, 0, time.UTC)); err != nil {
		t.Fatal(err)
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
