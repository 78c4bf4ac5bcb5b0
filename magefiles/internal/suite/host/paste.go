package host

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/artifact"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/frontpage"
)

// ReadPastes are the lines that the front page of the repository in a folder says to
// paste, by the id of their block.
func ReadPastes(repository string) (map[string]string, error) {
	page, err := os.ReadFile(filepath.Join(repository, "index.html"))
	if err != nil {
		return nil, fmt.Errorf("reading the front page: %w", err)
	}
	return frontpage.Pastes(page)
}

// WritePastes writes lines to paste, a file each.
func WritePastes(pastes map[string]string, dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for id, lines := range pastes {
		if err := artifact.WriteBytes(filepath.Join(dir, id), 0o644, []byte(lines+"\n")); err != nil {
			return err
		}
	}
	return nil
}
