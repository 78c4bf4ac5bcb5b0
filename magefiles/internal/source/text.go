package source

import (
	"archive/zip"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/gotool"
)

// textLimit is more than any text that is wanted has, in bytes.
const textLimit = 8 << 20

// Text is a file of a version as upstream published it, out of the zip that the
// checksum database vouches for; empty where it has no file of that name. It needs
// no source tree, which a machine has not that releases what others built.
func (f Fetcher) Text(ctx context.Context, version, name string) (string, error) {
	want, err := f.ask(ctx, Request{Version: version})
	if err != nil {
		return "", err
	}
	if _, err := f.checkable(ctx, want); err != nil {
		return "", err
	}
	goTool, err := gotool.Find(ctx, "local")
	if err != nil {
		return "", err
	}
	from, err := f.download(ctx, goTool, want)
	if err != nil {
		return "", fmt.Errorf("fetching %s of %s %s: %w", name, f.Source.Module, version, err)
	}
	return zipped(from.zip, f.Source.Module+"@v"+version+"/"+name)
}

// zipped is one file of a zip; empty if it has none of that name.
func zipped(archive, name string) (string, error) {
	reader, err := zip.OpenReader(archive)
	if err != nil {
		return "", fmt.Errorf("opening %s: %w", archive, err)
	}
	defer func() { _ = reader.Close() }()
	file, err := reader.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("reading %s of %s: %w", name, archive, err)
	}
	defer func() { _ = file.Close() }()
	content, err := io.ReadAll(io.LimitReader(file, textLimit+1))
	if err == nil && len(content) > textLimit {
		err = fmt.Errorf("it has more than %d bytes", textLimit)
	}
	if err != nil {
		return "", fmt.Errorf("reading %s of %s: %w", name, archive, err)
	}
	return string(content), nil
}
