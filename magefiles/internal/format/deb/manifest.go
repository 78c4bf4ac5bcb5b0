package deb

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/deb822"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/manifest"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/run"
)

// read has dpkg-deb unpack both of the deb's archives.
func read(ctx context.Context, file string) (manifest.Manifest, error) {
	m := reading{manifest.Manifest{}}
	return m.Manifest, errors.Join(
		manifest.EachEntry(ctx, run.New("dpkg-deb", "--ctrl-tarfile", file), m.control),
		manifest.EachEntry(ctx, run.New("dpkg-deb", "--fsys-tarfile", file), m.Install))
}

// reading is a manifest to be.
type reading struct{ manifest.Manifest }

// control takes one of dpkg's own files.
func (m reading) control(h *tar.Header, content io.Reader) error {
	if h.Typeflag != tar.TypeReg {
		return nil
	}
	text, err := io.ReadAll(content)
	if err != nil {
		return err
	}
	switch name := path.Base(h.Name); name {
	case "control":
		return m.fields(string(text))
	case "conffiles":
		for line := range strings.Lines(string(text)) {
			m.Manifest["conffile "+strings.TrimSpace(line)] = ""
		}
	case "md5sums": // of the payload, whose content is listed
	default:
		m.Manifest["scriptlet "+name] = fmt.Sprintf("%s %s", h.FileInfo().Mode(), text)
	}
	return nil
}

// relations are the fields that are lists in any order.
var relations = []string{
	"Pre-Depends", "Depends", "Recommends", "Suggests", "Enhances", "Breaks", "Conflicts", "Provides", "Replaces",
	"Built-Using", "Static-Built-Using",
}

// fields takes the fields of a control file (deb-control(5)).
func (m reading) fields(text string) error {
	values, err := deb822.Stanza(text).Values()
	if err != nil {
		return err
	}
	for name, value := range values {
		m.Manifest["field "+name] = value
	}
	for _, name := range relations {
		if list, ok := m.Manifest["field "+name]; ok {
			delete(m.Manifest, "field "+name)
			for _, one := range strings.Split(strings.ReplaceAll(list, "\n", ""), ",") {
				m.Manifest[strings.ToLower(name)+" "+strings.TrimSpace(one)] = ""
			}
		}
	}
	return nil
}
