package subject

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"time"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/artifact"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pkgdef"
)

// Alter replaces what the pattern matches, which must be there: a fault that is
// not planted would not be found.
func Alter(path, pattern, with string) error {
	content, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	changed := regexp.MustCompile(pattern).ReplaceAllLiteralString(string(content), with)
	if changed == string(content) {
		return fmt.Errorf("%s has nothing that matches %q", path, pattern)
	}
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	return artifact.WriteBytes(path, info.Mode().Perm(), []byte(changed))
}

// Dated gives the packages that bring the archive's keys to its clients the version of a
// day, which may be the one that they have.
func Dated(root string, day time.Time) error {
	keyrings, err := pkgdef.LoadKeyrings(root)
	for _, keyring := range keyrings {
		if keyring.Version == day.Format(pkgdef.DayForm) {
			continue
		}
		definition := filepath.Join(root, "packages", keyring.Name, "package.yaml")
		err = errors.Join(err, Alter(definition, `(?m)^version: .*`, "version: "+day.Format(pkgdef.DayForm)))
	}
	return err
}
