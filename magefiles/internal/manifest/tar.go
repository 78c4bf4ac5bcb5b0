package manifest

import (
	"archive/tar"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"path"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/run"
)

// EachEntry takes the entries of the tar archive that a command writes.
func EachEntry(ctx context.Context, command run.Command, take func(*tar.Header, io.Reader) error) error {
	reader, writer := io.Pipe()
	command.Stdout = writer
	ended := make(chan error, 1)
	go func() {
		err := command.Run(ctx)
		writer.CloseWithError(err) // nil is the end of the file
		ended <- err
	}()
	err := Entries(tar.NewReader(reader), take)
	if err == nil {
		_, err = io.Copy(io.Discard, reader) // the padding
	}
	reader.CloseWithError(errors.New("nobody reads on"))
	return errors.Join(err, <-ended)
}

// Entries takes those of a tar archive, by their absolute paths.
func Entries(archive *tar.Reader, take func(*tar.Header, io.Reader) error) error {
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

// Install takes one installed path.
func (m Manifest) Install(h *tar.Header, content io.Reader) error {
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
