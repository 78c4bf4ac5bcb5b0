package license

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// looked is what a person decided about SPIRE 1.13.3's modules.
var looked = []Allowance{
	{Module: "github.com/gogo/googleapis", License: "Apache-2.0", Reason: "the module has no license file; the .proto files in it say Apache-2.0"},
	{Module: "github.com/google/go-tpm-tools", File: "LICENSE", License: "Apache-2.0", Reason: "the BSD and TCG parts cover simulator/, which only tests use"},
	{Module: "github.com/opencontainers/go-digest", File: "LICENSE.docs", Reason: "covers the documentation"},
}

// realRequest is for a binary in the directory SPIRE_TEST_BINARIES and the
// vendored source tree SPIRE_TEST_TREE.
func realRequest(t testing.TB, name string) Request {
	t.Helper()
	dir, tree := os.Getenv("SPIRE_TEST_BINARIES"), os.Getenv("SPIRE_TEST_TREE")
	if dir == "" || tree == "" {
		t.Skip("NOT CHECKED: SPIRE_TEST_BINARIES and SPIRE_TEST_TREE do not name SPIRE's binaries and vendored source tree")
	}
	main, deps, err := Linked(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	return Request{Tree: tree, Main: main, Modules: deps, Allow: looked}
}

func TestReal(t *testing.T) {
	for _, name := range []string{"spire-server", "spire-agent", "oidc-discovery-provider"} {
		t.Run(name, func(t *testing.T) {
			set := scan(t, realRequest(t, name))
			t.Logf("%d entries: %s", len(set.Entries), set.Expression())
			if !strings.HasPrefix(set.Expression(), "Apache-2.0 AND ") {
				t.Errorf("the expression does not begin with SPIRE's own license")
			}
		})
	}
}

func BenchmarkScan(b *testing.B) {
	req := realRequest(b, "spire-agent")
	for b.Loop() {
		set, err := Scan(req)
		if err != nil {
			b.Fatal(err)
		}
		if err := set.DEP5(io.Discard, Upstream{"spire", "https://github.com/spiffe/spire"}); err != nil {
			b.Fatal(err)
		}
	}
}
