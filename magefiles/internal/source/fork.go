package source

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/mod/modfile"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/artifact"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/run"
)

// folder is a local directory, as somebody has it who packages a fork.
type folder struct {
	dir   string
	files []string // what is taken of it, relative, in the system's form
	notes []string // what its owner should know
}

// open looks at a local directory, before anything is made of it: what could not
// be packaged is an error that says where it is and what to do.
func open(ctx context.Context, dir string) (folder, error) {
	f := folder{dir: dir}
	if err := errors.Join(f.checkModule(), f.checkWorkspace(), f.checkSubmodules()); err != nil {
		return folder{}, err
	}
	if f.fromGit(ctx) {
		return f.regular()
	}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			relative, _ := filepath.Rel(dir, path) // it is below
			f.files = append(f.files, relative)
		}
		return err
	})
	if err != nil {
		return folder{}, fmt.Errorf("reading a local source: %w", err)
	}
	f.files = slices.DeleteFunc(f.files, unwanted)
	return f.regular()
}

// regular leaves out what is no regular file, as the go command does where it makes
// a module of a tree, and says so.
func (f folder) regular() (folder, error) {
	var kept, left []string
	for _, file := range f.files {
		info, err := os.Lstat(filepath.Join(f.dir, file))
		switch {
		case err != nil:
			return folder{}, err
		case info.Mode().IsRegular():
			kept = append(kept, file)
		default:
			left = append(left, file)
		}
	}
	f.files = kept
	f.note(left, "that is no regular file is left out, as of any Go module")
	return f, nil
}

// note says something of some files.
func (f *folder) note(files []string, what string) {
	if len(files) > 0 {
		f.notes = append(f.notes, fmt.Sprintf("%d %s: %q", len(files), what, files[:min(len(files), 5)]))
	}
}

// unwanted is what belongs to version control, also in a worktree or a submodule,
// where .git is a file, and the dependencies, which are fetched anew.
func unwanted(file string) bool {
	parts := strings.Split(filepath.ToSlash(file), "/")
	return parts[0] == "vendor" || slices.Contains(parts, ".git")
}

// checkModule refuses dependencies that are folders: no source package would have
// them, and their version is none.
func (f folder) checkModule() error {
	file := filepath.Join(f.dir, "go.mod")
	content, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // no source tree, as will be said
	}
	if err != nil {
		return err
	}
	parsed, err := modfile.ParseLax(file, content, nil)
	if err != nil {
		return fmt.Errorf("reading the module's dependencies: %w", err)
	}
	// ParseLax is for modules of others, in which replacements mean nothing.
	if strict, err := modfile.Parse(file, content, nil); err == nil {
		parsed = strict
	}
	var errs []error
	for _, replace := range parsed.Replace {
		if replace.New.Version == "" {
			errs = append(errs, fmt.Errorf("%s:%d replaces %s by the folder %s, which no source package would have: replace it by a module with a version (%s => example.org/your/fork v1.2.3)",
				file, replace.Syntax.Start.Line, replace.Old.Path, replace.New.Path, replace.Old.Path))
		}
	}
	return errors.Join(errs...)
}

// checkWorkspace refuses what the go command would build with others' folders: it
// looks for go.work in each folder above, too.
func (f folder) checkWorkspace() error {
	switch os.Getenv("GOWORK") {
	case "":
	case "off":
		return nil
	default:
		return fmt.Errorf("GOWORK=%s is set, and %s is built as its go.mod alone says: set GOWORK=off, and name in go.mod what it needs", os.Getenv("GOWORK"), f.dir)
	}
	for dir := f.dir; ; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.work")); err == nil {
			return fmt.Errorf("%s makes a workspace of %s, which is built as its go.mod alone says: set GOWORK=off, and name in go.mod what it needs", filepath.Join(dir, "go.work"), f.dir)
		}
		if dir == filepath.Dir(dir) {
			return nil
		}
	}
}

// checkSubmodules refuses submodules that were not fetched.
func (f folder) checkSubmodules() error {
	content, err := os.ReadFile(filepath.Join(f.dir, ".gitmodules"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(content)) {
		key, value, _ := strings.Cut(line, "=")
		place := filepath.FromSlash(path.Clean(strings.TrimSpace(value)))
		if strings.TrimSpace(key) != "path" || !filepath.IsLocal(place) {
			continue
		}
		if entries, err := os.ReadDir(filepath.Join(f.dir, place)); err != nil || len(entries) == 0 {
			return fmt.Errorf("the submodule %s of %s is empty: run `git submodule update --init --recursive` there", place, f.dir)
		}
	}
	return nil
}

// fromGit takes what git knows or would add: what it ignores, such as earlier
// builds, is not source. It says what is in no commit. ok is false where the
// folder is not the top of a git tree: then all that is there is taken.
func (f *folder) fromGit(ctx context.Context) (ok bool) {
	if _, err := os.Lstat(filepath.Join(f.dir, ".git")); err != nil || !run.Have("git") {
		return false
	}
	known, err := f.git(ctx, "ls-files", "-z", "--cached", "--recurse-submodules")
	if err != nil {
		return false
	}
	untracked, err := f.git(ctx, "ls-files", "-z", "--others", "--exclude-standard")
	if err != nil {
		return false
	}
	changed, err := f.git(ctx, "diff", "-z", "--name-only", "HEAD")
	if err != nil {
		changed = nil // no commit yet
	}
	for _, file := range slices.Concat(known, untracked) {
		file = filepath.FromSlash(file)
		info, err := os.Lstat(filepath.Join(f.dir, file))
		if err == nil && !info.IsDir() && !unwanted(file) { // else it was deleted
			f.files = append(f.files, file)
		}
	}
	f.files = slices.Compact(slices.Sorted(slices.Values(f.files)))
	f.note(untracked, "that git does not know is taken")
	f.note(changed, "that differs from the last commit is taken as it is")
	return true
}

// git runs git on the folder, whoever owns it, and gives the names that it says.
func (f folder) git(ctx context.Context, args ...string) ([]string, error) {
	out, err := run.New("git", append([]string{"-c", "safe.directory=*", "-c", "core.fsmonitor=false"}, args...)...).In(f.dir).Output(ctx)
	if err != nil {
		return nil, err
	}
	return strings.FieldsFunc(out, func(r rune) bool { return r == 0 }), nil
}

// hash says which content is taken.
func (f folder) hash() (string, error) { return artifact.HashFiles(f.dir, "", f.files) }

// copy copies what is taken.
func (f folder) copy(to string) error {
	for _, file := range f.files {
		if err := copyFile(filepath.Join(f.dir, file), filepath.Join(to, file)); err != nil {
			return fmt.Errorf("copying %s: %w", f.dir, err)
		}
	}
	return nil
}

func copyFile(from, to string) error {
	info, err := os.Lstat(from)
	if err != nil {
		return err
	}
	source, err := os.Open(from)
	if err != nil {
		return err
	}
	defer source.Close()
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	target, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o666|info.Mode().Perm()&0o111)
	if err != nil {
		return err
	}
	_, err = io.Copy(target, source)
	return errors.Join(err, target.Close())
}
