package release

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/artifact"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/format"
)

// sizeLimit is GitHub's, of one file.
const sizeLimit = 2 << 30

// nameForm is the form of the files' names. GitHub would write others in its own
// way, and a shell would read some of them in its.
var nameForm = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,199}$`)

// listed are all files of a signed folder: those that its checksums list, which
// are as listed, and the list itself with its signature.
func listed(dir string) ([]artifact.File, error) {
	files, err := artifact.Describe(dir)
	if err != nil {
		return nil, err
	}
	content, err := os.ReadFile(filepath.Join(dir, artifact.SumsName))
	if err != nil {
		return nil, fmt.Errorf("reading what is to be released: %w (`sign` makes the folder)", err)
	}
	sums, err := artifact.ParseSums(content)
	if err != nil {
		return nil, fmt.Errorf("%s in %s: %w", artifact.SumsName, dir, err)
	}
	sums[artifact.SumsName], sums[artifact.SumsSignature] = artifact.DigestBytes(content), ""
	var errs []error
	for _, file := range files {
		errs = append(errs, shippable(file, sums))
		delete(sums, file.Name())
	}
	for name := range sums {
		errs = append(errs, fmt.Errorf("%s is not there", name))
	}
	if err := errors.Join(errs...); err != nil {
		return nil, fmt.Errorf("%s is not a whole signed folder, sign again: %w", dir, err)
	}
	return files, nil
}

// shippable says whether GitHub takes the file, and whether it is as listed.
func shippable(file artifact.File, sums map[string]string) error {
	sum, ok := sums[file.Name()]
	switch {
	case !nameForm.MatchString(file.Name()):
		return fmt.Errorf("%.80q is not the name of a file to release", file.Name())
	case !ok:
		return fmt.Errorf("%s is not in %s", file.Name(), artifact.SumsName)
	case sum != "" && sum != file.SHA256:
		return fmt.Errorf("checksum mismatch: %s has the SHA-256 %s, not %s", file.Name(), file.SHA256, sum)
	case file.Size == 0 || file.Size >= sizeLimit:
		return fmt.Errorf("%s has %d bytes, and GitHub takes from 1 to %d", file.Name(), file.Size, sizeLimit-1)
	}
	return nil
}

// mediaType is the content type of a file of the given name.
func mediaType(name string) string {
	for _, f := range format.All() {
		if strings.HasSuffix(name, f.Suffix) {
			return f.MediaType
		}
	}
	if form, ok := artifact.FormOf(name); ok {
		return form.MediaType
	}
	return "application/octet-stream"
}
