package predecessor

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
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/sign"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/suite/subject"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/suite/suitetest"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/suite/testkey"
)

// served is a repository of the packages that were built.
type served struct{ *suitetest.Served }

// believing are the versions that a checkout asks for which has a key.
func (s served) believing(key sign.Certificate) Versions {
	s.Helper()
	root, err := filepath.Abs(suitetest.Root)
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
	return Versions{subject.Checkout{Root: own, Pipeline: p, Log: s.Output()}, pipeline.Options{Arches: []string{runtime.GOARCH}}}
}

// What is upgraded from is what was published, by the checkout's key and the digests of
// the ledger; on a machine that only tests, what another one took from there.
func TestShipped(t *testing.T) {
	s := served{suitetest.NewServed(t)}
	number, _, _ := strings.Cut(s.Version, "-")
	versions := s.believing(s.Key.Signer.Certificate())
	_, url := s.Publish(24 * time.Hour)
	t.Setenv(archiveAddress, url)
	for unpublished, address := range map[string]string{"1.0.0": url, number: url + "/nothing"} {
		t.Setenv(archiveAddress, address)
		if found, err := versions.Shipped(t.Context(), unpublished); err != nil || found.Version != "" {
			t.Errorf("%s of %s: %+v, %v", unpublished, address, found, err)
		}
	}
	t.Setenv(archiveAddress, url)
	found, err := versions.Shipped(t.Context(), number)
	if err != nil || found.Version != s.Version {
		t.Fatalf("%+v, %v", found, err)
	}
	s.isShipped(found)
	travelling := t.TempDir()
	if err := os.MkdirAll(filepath.Join(travelling, shippedFolder, number+"-1", "x"), 0o755); err != nil { // of a run before
		t.Fatal(err)
	}
	t.Setenv(earlierFolder, travelling)
	if err := versions.handOnShipped(t.Context(), found); err != nil {
		t.Fatal(err)
	}
	t.Setenv(archiveAddress, "")
	handed, err := versions.Shipped(t.Context(), number)
	if err != nil || handed.Version != s.Version || !strings.HasPrefix(handed.Files[0], travelling) {
		t.Fatalf("%+v, %v", handed, err)
	}
	s.isShipped(handed)
	t.Setenv(earlierFolder, "")
	t.Setenv(archiveAddress, url)
	s.refusesOthers(number)
}

// isShipped wants exactly the packages to install, as they were signed.
func (s served) isShipped(found pipeline.Shipped) {
	s.Helper()
	var want, got []string
	for _, file := range s.Signed {
		if _, ok := format.Of(file); ok {
			want = append(want, s.Digest(file))
		}
	}
	for _, file := range found.Files {
		got = append(got, s.Digest(file))
	}
	slices.Sort(want)
	slices.Sort(got)
	if !slices.Equal(got, want) {
		s.Errorf("the packages are %q, not %q", got, want)
	}
}

// refusesOthers wants nothing to be taken that another key has signed.
func (s served) refusesOthers(number string) {
	s.Helper()
	other, err := testkey.New(s.Context(), testkey.Other, s.Key.Signer.Time())
	if err != nil {
		s.Fatal(err)
	}
	defer other.Close()
	versions := s.believing(other.Signer.Certificate())
	_, err = versions.Shipped(s.Context(), number)
	if err == nil || !strings.Contains(err.Error(), "it is not a ledger that a trusted key has signed") {
		s.Errorf("by another key: %v", err)
	}
}
