package store

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"slices"
	"time"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/artifact"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/repo/host"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/repo/layout"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/repo/ledger"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/repo/tree"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/tarball"
)

// small are the small files that the next publication reads, by path, with their SHA-256
// where the ledger tells it: the records, the provenance, and what the indexes are made anew
// from. There are many of them: they travel as one file, with the keys.
func small(l ledger.Ledger) map[string]string {
	files := map[string]string{}
	for _, f := range l.All() {
		if f.Record != "" {
			files[ledger.RecordPath(f.Record)] = f.Record
		}
		if f.Kind == ledger.Provenance {
			files[f.Path] = f.SHA256
		}
	}
	for _, name := range layout.Reads(l) {
		files[name] = ""
	}
	return files
}

// lists are the index files that what the indexes are made anew from names.
func lists(l ledger.Ledger) (kept []ledger.Kept) {
	dirs := map[string]bool{}
	for _, name := range layout.Reads(l) {
		dirs[path.Dir(name)] = true
	}
	for _, k := range l.Kept {
		if dirs[path.Dir(k.Path)] && k.Until.Equal(l.Until) {
			kept = append(kept, k)
		}
	}
	return kept
}

// pack is one file of the small ones.
func pack(t tree.Tree, l ledger.Ledger, keys []string) (File, error) {
	var plain bytes.Buffer
	archive := tarball.New(&plain, time.Unix(0, 0))
	for _, name := range slices.Concat(sorted(small(l)), keys) {
		content, err := os.ReadFile(t.Path(name))
		if err != nil {
			return File{}, fmt.Errorf("packing what the next publication reads: %w", err)
		}
		if err := archive.Bytes(name, 0o644, content); err != nil {
			return File{}, err
		}
	}
	if err := archive.Close(); err != nil {
		return File{}, err
	}
	packed, err := artifact.Gzip(plain.Bytes())
	return fileOf(path.Join(ledger.Records, artifact.DigestBytes(packed)+".tar.gz"), packed, true), err
}

// unpack gives take each of the files that are wanted, and those of the keys that are there.
// Files of which the digest is known have it. Nobody has signed what else is in it.
func unpack(packed []byte, files map[string]string, keys map[string][]byte, take func(name string, content []byte) error) error {
	reader, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return err
	}
	missing := len(files)
	for archive := tar.NewReader(reader); ; {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		sum, wanted := files[header.Name]
		_, isKey := keys[header.Name]
		if !wanted && !isKey || header.Typeflag != tar.TypeReg {
			continue
		}
		content, err := host.ReadAll(archive)
		if err == nil && sum != "" && artifact.DigestBytes(content) != sum {
			err = fmt.Errorf("checksum mismatch: %s is not what was published", header.Name)
		}
		if err == nil {
			err = take(header.Name, content)
		}
		if err != nil {
			return err
		}
		if wanted {
			missing--
		}
	}
	if missing != 0 {
		return fmt.Errorf("%d files are missing in it", missing)
	}
	return nil
}
