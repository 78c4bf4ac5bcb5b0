package archlinux

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/klauspost/compress/zstd"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/manifest"
)

// nameItem is the item with the name of the package.
const nameItem = "field pkgname"

// lists are the fields of a .PKGINFO that there can be several of.
var lists = map[string]bool{
	"backup": true, "checkdepend": true, "conflict": true, "depend": true, "group": true, "license": true,
	"makedepend": true, "optdepend": true, "provides": true, "replaces": true, "xdata": true,
}

// read takes the package's one archive, in which it also tells of itself.
func read(_ context.Context, file string) (manifest.Manifest, error) {
	content, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer content.Close()
	plain, err := zstd.NewReader(content)
	if err != nil {
		return nil, err
	}
	defer plain.Close()
	m := reading{manifest.Manifest{}}
	err = manifest.Entries(tar.NewReader(plain), m.take)
	if err == nil && m.Manifest[nameItem] == "" {
		err = errors.New("it has no .PKGINFO with a name")
	}
	return m.Manifest, err
}

// reading is a manifest to be.
type reading struct{ manifest.Manifest }

func (m reading) take(h *tar.Header, content io.Reader) error {
	switch h.Name {
	case "/.PKGINFO":
		text, err := io.ReadAll(content)
		if err != nil {
			return err
		}
		return m.info(string(text))
	case "/.INSTALL":
		text, err := io.ReadAll(content)
		m.Manifest["scriptlet .INSTALL"] = string(text)
		return err
	case "/.MTREE": // of the payload, whose content is listed
		return nil
	}
	return m.Install(h, content)
}

func (m reading) info(text string) error {
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		name, value, ok := strings.Cut(line, " = ")
		switch {
		case !ok:
			return fmt.Errorf("%q is no line of a .PKGINFO", line)
		case lists[name]:
			m.Manifest[name+" "+value] = ""
		default:
			m.Manifest["field "+name] = value
		}
	}
	return nil
}
