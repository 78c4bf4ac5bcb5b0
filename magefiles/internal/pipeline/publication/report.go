package publication

import (
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"time"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/repo"
)

// PrintReport writes what a publication ends with.
func PrintReport(w io.Writer, r repo.Report) {
	for _, file := range r.Added {
		fmt.Fprintf(w, "added %s  %s\n", file.SHA256, file.Path)
	}
	for _, file := range r.Retired {
		fmt.Fprintf(w, "retired %s\n", file.Path)
	}
	if r.Unchanged {
		fmt.Fprint(w, "nothing to publish; ")
	}
	fmt.Fprintf(w, "%d files added, %d retired, indexes valid until %s\n", len(r.Added), len(r.Retired), r.Until.Format(time.RFC3339))
}

// pagesLimit is the size, in bytes, that a site on GitHub Pages may have.
const pagesLimit = 1e9

// PrintSize writes how large the tree in dir is, and whether GitHub Pages takes
// it.
func PrintSize(w io.Writer, dir string) error {
	var size int64
	err := filepath.WalkDir(dir, func(_ string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		info, err := entry.Info()
		if err == nil {
			size += info.Size()
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("measuring the repository: %w", err)
	}
	fmt.Fprintf(w, "%s has %.1f MB\n", dir, float64(size)/1e6)
	if size > pagesLimit {
		fmt.Fprintf(w, "WARNING: GitHub Pages takes sites of up to 1 GB: find another host for it, or keep fewer versions\n")
	}
	return nil
}
