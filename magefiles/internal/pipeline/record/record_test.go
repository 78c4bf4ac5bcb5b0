package record

import (
	"path/filepath"
	"testing"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/artifact"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/compile"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pkgdef"
)

func TestWrite(t *testing.T) {
	w := Writer{Source: pkgdef.Source{Name: "up", Release: 1}, Dist: artifact.Dist(filepath.Join(t.TempDir(), "dist"))}
	made := compile.Info{Tree: artifact.Tree{Version: "1.13.3", Verified: true}, Arch: "amd64", Unpinned: "another"}
	for i, want := range []bool{true, false} {
		file, err := w.Write(t.Context(), made)
		if err != nil || file.Rebuilt != want || file.Name() != "up_1.13.3-1_amd64.build.json" {
			t.Errorf("run %d: %+v, error %v", i+1, file, err)
		}
	}
	made.Binaries = []artifact.Binary{{Name: "x"}}
	if file, err := w.Write(t.Context(), made); err != nil || !file.Rebuilt {
		t.Errorf("changed: %+v, error %v", file, err)
	}
}
