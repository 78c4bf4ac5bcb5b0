package gotool

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"

	"golang.org/x/mod/sumdb/dirhash"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/artifact"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pkgdef"
)

// Module is the module in which Go's toolchains are: the checksum database
// vouches for them as for any other.
const Module = "golang.org/toolchain"

// Host is this machine, as the toolchains' versions name it.
func Host() string { return runtime.GOOS + "-" + runtime.GOARCH }

// ModuleOf is the toolchain that runs on this machine, as path@version.
func ModuleOf(want pkgdef.Toolchain) string {
	return Module + "@v0.0.1-" + want.Version + "." + Host()
}

// fetching keeps one goroutine from seeing what another is making.
var fetching sync.Mutex

// Verified is the go command of the very toolchain, whatever is installed: fetched
// as a module, and compared with its known sum, file by file, for nobody looks at
// what is in the module cache once it is there. Another content is an error.
func Verified(ctx context.Context, want pkgdef.Toolchain) (Go, error) {
	found, err := Find(ctx, "local")
	if err != nil {
		return Go{}, err
	}
	fetching.Lock()
	defer fetching.Unlock()
	dir, err := found.fetch(ctx, want)
	if err != nil {
		return Go{}, fmt.Errorf("fetching the toolchain %s: %w", ModuleOf(want), err)
	}
	found.program = filepath.Join(dir, "bin", "go")
	return found, nil
}

// fetch gives the toolchain's folder in the module cache, ready to be run.
func (g Go) fetch(ctx context.Context, want pkgdef.Toolchain) (dir string, err error) {
	pinned := want.Sums[Host()]
	if pinned == "" {
		return "", fmt.Errorf("source.yaml has no sum of it for %s: nobody knows what it should be", Host())
	}
	got, err := g.download(ctx, want)
	if err != nil && g.user.GOSUMDB == "off" {
		// The go command takes no toolchain that the database does not vouch for.
		g.user.GOSUMDB = databases[0]
		got, err = g.download(ctx, want)
	}
	switch {
	case err != nil:
		return "", err
	case got.Sum != pinned:
		return "", fmt.Errorf("checksum mismatch: it is not what it was: its sum is %s, and source.yaml has %s: find out why before anything is built with it", got.Sum, pinned)
	}
	added, sum, err := toolchainSum(got.Dir, ModuleOf(want))
	if err != nil {
		return "", err
	}
	if sum != pinned {
		return "", fmt.Errorf("%s has the hash %s, not %s: the module cache is damaged or was tampered with; remove it with `go clean -modcache`", got.Dir, sum, pinned)
	}
	return got.Dir, ready(got.Dir, added)
}

// downloaded is the part of `go mod download -json` that is used here.
type downloaded struct{ Dir, Sum, Error string }

func (g Go) download(ctx context.Context, want pkgdef.Toolchain) (got downloaded, err error) {
	out, err := g.Command("mod", "download", "-json", ModuleOf(want)).In(os.TempDir()).Output(ctx)
	if json.Unmarshal([]byte(out), &got) != nil && err != nil {
		return got, err
	}
	if got.Error != "" {
		return got, errors.New(got.Error)
	}
	return got, nil
}

// In a module's zip no other module can be, so each go.mod of the toolchain is
// there as _go.mod. The go command copies them when it first runs a toolchain.
const hidden, shown = "_go.mod", "go.mod"

// toolchainSum is the module's sum of an unpacked toolchain, as it was before
// those copies were made. added are the copies, there or not.
func toolchainSum(dir, prefix string) (added []string, sum string, err error) {
	all, err := dirhash.DirFiles(dir, "")
	if err != nil {
		return nil, "", fmt.Errorf("listing the toolchain: %w", err)
	}
	copies := map[string]bool{}
	for _, file := range all {
		if filepath.Base(file) == hidden {
			copied := filepath.Join(filepath.Dir(file), shown)
			added = append(added, copied)
			same, err := isCopy(filepath.Join(dir, file), filepath.Join(dir, copied))
			if err != nil {
				return nil, "", err
			}
			copies[copied] = same
		}
	}
	var files []string
	for _, file := range all {
		if !copies[file] {
			files = append(files, file)
		}
	}
	sum, err = artifact.HashFiles(dir, prefix, files)
	return added, sum, err
}

func isCopy(original, copied string) (bool, error) {
	want, err := os.ReadFile(original)
	if err != nil {
		return false, err
	}
	got, err := os.ReadFile(copied)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return bytes.Equal(got, want), err
}

// ready does what the go command does when it first runs a toolchain: it makes
// the copies, and programs of the programs, which a module's files are not.
func ready(dir string, added []string) error {
	for _, file := range added {
		if err := copyOnce(dir, filepath.Dir(file)); err != nil {
			return fmt.Errorf("making the toolchain ready: %w", err)
		}
	}
	for _, folder := range []string{"bin", filepath.Join("pkg", "tool")} {
		err := filepath.WalkDir(filepath.Join(dir, folder), func(path string, d fs.DirEntry, err error) error {
			if errors.Is(err, fs.ErrNotExist) || err == nil && d.IsDir() {
				return nil
			}
			if err != nil {
				return err
			}
			info, err := d.Info()
			if err != nil || info.Mode()&0o111 == 0o111 {
				return err
			}
			return os.Chmod(path, info.Mode().Perm()|0o111)
		})
		if err != nil {
			return fmt.Errorf("making the toolchain's programs executable: %w", err)
		}
	}
	return nil
}

// copyOnce copies a file within a folder of a toolchain, which is not to be
// written to. The copy gets its name when it is whole, and is made elsewhere:
// another run may be hashing the folder.
func copyOnce(dir, folder string) error {
	to := filepath.Join(dir, folder, shown)
	if _, err := os.Stat(to); err == nil {
		return nil
	}
	content, err := os.ReadFile(filepath.Join(dir, folder, hidden))
	if err != nil {
		return err
	}
	beside := dir + "." + strings.ReplaceAll(folder, string(filepath.Separator), "-")
	if err := artifact.WriteBytes(beside, 0o444, content); err != nil {
		return err
	}
	info, err := os.Stat(filepath.Dir(to))
	if err != nil {
		return err
	}
	if err := os.Chmod(filepath.Dir(to), info.Mode().Perm()|0o200); err != nil {
		return err
	}
	return errors.Join(os.Rename(beside, to), os.Chmod(filepath.Dir(to), info.Mode().Perm()))
}
