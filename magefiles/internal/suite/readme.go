package suite

import (
	"errors"
	"os"
	"path/filepath"
	"strings"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/artifact"
)

// tenMinutes is the name of README's block among the lines to paste.
const tenMinutes = "ten-minutes"

// writeTenMinutes writes the first ten minutes as README has them, beside the
// front page's lines to paste.
func (s Suite) writeTenMinutes(dir string) error {
	readme, err := os.ReadFile(filepath.Join(s.Root, "README.md"))
	if err != nil {
		return err
	}
	block, err := fencedBlock(string(readme), "spire-server validate")
	if err != nil {
		return err
	}
	return artifact.WriteBytes(filepath.Join(dir, tenMinutes), 0o644, []byte(block))
}

// fencedBlock is the block of a Markdown text that begins with the words, what
// somebody who copies it gets.
func fencedBlock(text, words string) (string, error) {
	for i, part := range strings.Split("\n"+text, "\n```\n") {
		if i%2 == 1 && strings.HasPrefix(part, words) {
			return part + "\n", nil
		}
	}
	return "", errors.New("no block of lines begins with " + words)
}
