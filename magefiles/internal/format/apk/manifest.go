package apk

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"strings"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/apkfile"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/manifest"
)

// nameItem is the item with the name of the package.
const nameItem = "field pkgname"

// lists are the fields of a .PKGINFO that there can be several of, in any order.
var lists = map[string]bool{"depend": true, "provides": true, "replaces": true, "install_if": true, "triggers": true}

// measures are worked out from the rest.
var measures = map[string]bool{"size": true, "datahash": true}

// read takes what the package says of itself, and what it installs, after it was found
// to be what it says.
func read(_ context.Context, file string) (manifest.Manifest, error) {
	content, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	f, err := apkfile.Read(content)
	if err == nil {
		err = f.Check()
	}
	if err != nil {
		return nil, err
	}
	m := manifest.Manifest{}
	fields, err := f.Fields()
	for _, field := range fields {
		switch {
		case lists[field.Name]:
			m[field.Name+" "+field.Value] = ""
		case !measures[field.Name]:
			m["field "+field.Name] = field.Value
		}
	}
	if err == nil && m[nameItem] == "" {
		err = errors.New("it says no name")
	}
	if err != nil {
		return nil, err
	}
	if err := scriptletsOf(m, f); err != nil {
		return nil, err
	}
	return m, f.Each(func(h *tar.Header, content io.Reader) error {
		h.Name = path.Clean("/" + h.Name)
		return m.Install(h, content)
	})
}

func scriptletsOf(m manifest.Manifest, f apkfile.File) error {
	entries, err := apkfile.Entries(f.Control)
	for _, entry := range entries {
		name, ok := strings.CutPrefix(entry.Name, ".")
		if ok && entry.Name != apkfile.Info && entry.Typeflag == tar.TypeReg {
			m["scriptlet "+name] = fmt.Sprintf("%s %d %s", entry.FileInfo().Mode(), entry.ModTime.Unix(), entry.Content)
		}
	}
	return err
}
