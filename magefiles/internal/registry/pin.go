package registry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/artifact"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/container"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/matrix"
)

// Pin writes into a distros.yaml which images its references have now: where all of
// them could be had, and not otherwise.
func Pin(ctx context.Context, path string, log io.Writer) error {
	rows, err := matrix.Load(path)
	if err != nil {
		return err
	}
	driver, digests := &container.Driver{Log: log}, map[string]string{}
	for _, row := range rows {
		reference := row.Image.Reference
		if reference == "" || digests[reference] != "" {
			continue
		}
		if digests[reference], err = newest(ctx, driver, row); err != nil {
			return fmt.Errorf("pinning %s: %w", row.Name, err)
		}
		driver.Say(fmt.Sprintf("%s is %s", reference, digests[reference]))
	}
	return repin(path, digests)
}

// newest pulls the image that a row's tag has, whatever was pinned, and gives its
// digest. For a tag that has images of several architectures it is that of their list.
func newest(ctx context.Context, driver *container.Driver, row matrix.Distribution) (string, error) {
	image := Of(row.Image, row.Architectures[0])
	image.Digest = ""
	if err := driver.Pull(ctx, image.Source(), image.Arch); err != nil {
		return "", errors.New(container.LastLine(err))
	}
	known, err := container.Digests(ctx, image.Source())
	if err != nil {
		return "", err
	}
	for _, one := range known {
		pinned := matrix.Image{Reference: row.Image.Reference}
		var ok bool
		if pinned.Digest, ok = strings.CutPrefix(one, image.name()+"@"); ok && pinned.Validate() == nil {
			return pinned.Digest, nil
		}
	}
	return "", fmt.Errorf("no digest of %s is known to Docker", image.tagged())
}

// pinLines are those of a reference, and of its pin if it has one.
var pinLines = regexp.MustCompile(`(?m)^( +)reference: (\S+)\n( +digest: .*\n)?`)

// repin changes the pins in the file and nothing else.
func repin(path string, digests map[string]string) error {
	content, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	changed := pinLines.ReplaceAllFunc(content, func(lines []byte) []byte {
		part := pinLines.FindSubmatch(lines)
		return fmt.Appendf(nil, "%sreference: %s\n%sdigest: %s\n", part[1], part[2], part[1], digests[string(part[2])])
	})
	rows, err := matrix.Parse(changed)
	if err != nil {
		return fmt.Errorf("pinning: %w", err)
	}
	for _, row := range rows {
		if row.Image.Digest != digests[row.Image.Reference] {
			return fmt.Errorf("pinning %s: its reference is not on a line of its own in %s", row.Name, path)
		}
	}
	return artifact.WriteBytes(path, 0o644, changed)
}
