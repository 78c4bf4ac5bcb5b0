package suite

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/artifact"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pkgdef"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/rpmfile"
)

// expectSources writes what the source packages are, as the build made them: a
// line a file, "SHA256 NAME".
func (b built) expectSources(path string) error {
	var lines []string
	for _, file := range slices.Concat(b.sources(pkgdef.Deb), b.sources(pkgdef.RPM)) {
		sum, err := unsignedSum(file)
		if err != nil {
			return fmt.Errorf("reading %s: %w", file, err)
		}
		lines = append(lines, fmt.Sprintf("%x %s\n", sum, filepath.Base(file)))
	}
	if len(lines) == 0 {
		return errors.New("there is no source package to compare with")
	}
	return artifact.WriteBytes(path, 0o644, []byte(strings.Join(lines, "")))
}

// unsignedSum is the digest of what a signature leaves as it is: of an rpm the
// header, which has the payload's digest; of anything else, all of it.
func unsignedSum(path string) ([sha256.Size]byte, error) {
	content, err := os.ReadFile(path)
	if err != nil || !strings.HasSuffix(path, ".rpm") {
		return sha256.Sum256(content), err
	}
	file, err := rpmfile.Read(content)
	return sha256.Sum256(file.Header()), err
}
