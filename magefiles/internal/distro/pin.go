package distro

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/artifact"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/run"
)

// Pin writes into a distros.yaml which images its references have now: where all of
// them could be had, and not otherwise.
func Pin(ctx context.Context, path string, log io.Writer) error {
	rows, err := Load(path)
	if err != nil {
		return err
	}
	h, digests := &Host{Log: log}, map[string]string{}
	for _, row := range rows {
		if row.Image.Reference == "" || digests[row.Image.Reference] != "" {
			continue
		}
		image := row.Image
		image.Digest = "" // what the tag has, whatever was pinned
		p := Target{Distribution{Image: image}, row.Architectures[0]}.recipe().(pulled)
		if digests[image.Reference], err = p.resolve(ctx, h); err != nil {
			return fmt.Errorf("pinning %s: %w", row.Name, err)
		}
		h.say(fmt.Sprintf("%s is %s", image.Reference, digests[image.Reference]))
	}
	return repin(path, digests)
}

// resolve pulls the image that the tag has, and gives its digest. For a tag that has
// images of several architectures it is that of their list.
func (p pulled) resolve(ctx context.Context, h *Host) (string, error) {
	if err := p.ask(ctx, h); err != nil {
		return "", errors.New(lastLine(err))
	}
	known, err := run.New("docker", "image", "inspect", "--format", "{{range .RepoDigests}}{{println .}}{{end}}", p.source()).Output(ctx)
	if err != nil {
		return "", err
	}
	tagged := p.tagged()
	for line := range strings.Lines(known) {
		if found, ok := strings.CutPrefix(strings.TrimSpace(line), tagged[:strings.LastIndex(tagged, ":")]+"@"); ok && digest.MatchString(found) {
			return found, nil
		}
	}
	return "", fmt.Errorf("no digest of %s is known to Docker", tagged)
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
	rows, err := parse(changed)
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
