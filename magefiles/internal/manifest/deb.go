package manifest

import (
	"archive/tar"
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/run"
)

func readDeb(ctx context.Context, file string) (Manifest, error) {
	m := Manifest{}
	return m, errors.Join(
		eachEntry(ctx, "--ctrl-tarfile", file, m.control),
		eachEntry(ctx, "--fsys-tarfile", file, m.payload))
}

// eachEntry has dpkg-deb unpack one of the deb's two archives.
func eachEntry(ctx context.Context, part, file string, take func(*tar.Header, io.Reader) error) error {
	reader, writer := io.Pipe()
	command := run.New("dpkg-deb", part, file)
	command.Stdout = writer
	ended := make(chan error, 1)
	go func() {
		err := command.Run(ctx)
		writer.CloseWithError(err) // nil is the end of the file
		ended <- err
	}()
	err := entries(tar.NewReader(reader), take)
	if err == nil {
		_, err = io.Copy(io.Discard, reader) // the padding
	}
	reader.CloseWithError(errors.New("nobody reads on"))
	return errors.Join(err, <-ended)
}

func entries(archive *tar.Reader, take func(*tar.Header, io.Reader) error) error {
	for {
		h, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		h.Name = path.Clean("/" + h.Name)
		if err := take(h, archive); err != nil {
			return err
		}
	}
}

// payload takes one installed path.
func (m Manifest) payload(h *tar.Header, content io.Reader) error {
	mode := h.FileInfo().Mode()
	m["file "+h.Name] = fmt.Sprintf("%s %s:%s to=%s time=%d", mode, h.Uname, h.Gname, h.Linkname, h.ModTime.Unix())
	if !mode.IsRegular() {
		return nil
	}
	sum := sha256.New()
	if _, err := io.Copy(sum, content); err != nil {
		return err
	}
	m["content "+h.Name] = hex.EncodeToString(sum.Sum(nil))
	return nil
}

// control takes one of dpkg's own files.
func (m Manifest) control(h *tar.Header, content io.Reader) error {
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
			m["conffile "+strings.TrimSpace(line)] = ""
		}
	case "md5sums": // of the payload, whose content is listed
	default:
		m["scriptlet "+name] = fmt.Sprintf("%s %s", h.FileInfo().Mode(), text)
	}
	return nil
}

// relations are the fields that are lists in any order.
var relations = []string{
	"Pre-Depends", "Depends", "Recommends", "Suggests", "Enhances", "Breaks", "Conflicts", "Provides", "Replaces",
	"Built-Using", "Static-Built-Using",
}

// fields takes the fields of a control file (deb-control(5)).
func (m Manifest) fields(text string) error {
	name := ""
	for scanner := bufio.NewScanner(strings.NewReader(text)); scanner.Scan(); {
		line := scanner.Text()
		if strings.HasPrefix(line, " ") && name != "" {
			m["field "+name] += "\n" + line
			continue
		}
		key, value, ok := strings.Cut(line, ":")
		if !ok {
			return fmt.Errorf("%q is no line of a control file", line)
		}
		name = key
		m["field "+name] = strings.TrimSpace(value)
	}
	for _, name := range relations {
		if list, ok := m["field "+name]; ok {
			delete(m, "field "+name)
			for _, one := range strings.Split(strings.ReplaceAll(list, "\n", ""), ",") {
				m[strings.ToLower(name)+" "+strings.TrimSpace(one)] = ""
			}
		}
	}
	return nil
}
