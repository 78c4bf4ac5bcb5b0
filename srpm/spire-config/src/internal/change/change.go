// Package change writes files so that each is whole at any moment, keeps what was
// there before, and shows beforehand what it would do.
package change

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// A File is one that shall have this content.
type File struct {
	Path    string
	Content []byte
	// Mode is for a file that is not there yet, and for one whose mode must not be
	// wider (Private); any other keeps its own.
	Mode    fs.FileMode
	Private bool
	// NoBackup is for what must not stay behind, such as a token.
	NoBackup bool
	// Mask makes the content fit to be shown.
	Mask func([]byte) []byte
}

// A Plan is what is to be written, in this order.
type Plan struct {
	Files []File
	// Check is asked before the first file is renamed.
	Check func(Staged) error
}

// Staged are the temporary files of a plan, by the paths that they will have.
type Staged map[string]string

// At is where the file of a path is for now: its temporary one, or the path itself.
func (s Staged) At(path string) string {
	if temporary, ok := s[path]; ok {
		return temporary
	}
	return path
}

// Pending returns the plan without the files that are as they shall be.
func (p Plan) Pending() (Plan, error) {
	pending := Plan{Check: p.Check}
	for _, file := range p.Files {
		same, err := file.done()
		if err != nil {
			return Plan{}, err
		}
		if !same {
			pending.Files = append(pending.Files, file)
		}
	}
	return pending, nil
}

func (f File) done() (bool, error) {
	old, mode, err := f.old()
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	return bytes.Equal(old, f.Content) && (!f.Private || mode&^f.Mode == 0), nil
}

func (f File) old() ([]byte, fs.FileMode, error) {
	info, err := os.Stat(f.Path)
	if err != nil {
		return nil, 0, err
	}
	text, err := os.ReadFile(f.Path)
	return text, info.Mode().Perm(), err
}

// Diff writes the whole plan as a unified diff, without the secrets.
func (p Plan) Diff(out io.Writer) error {
	for _, file := range p.Files {
		old, _, err := file.old()
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		if err := file.diff(out, old); err != nil {
			return err
		}
	}
	return nil
}

func (f File) diff(out io.Writer, old []byte) error {
	if f.Mask == nil {
		return unified(out, f.Path, old, f.Content)
	}
	before, after := f.Mask(old), f.Mask(f.Content)
	if bytes.Equal(before, after) {
		_, err := fmt.Fprintf(out, "%s: a value changes that is not shown\n", f.Path)
		return err
	}
	return unified(out, f.Path, before, after)
}

// Apply writes the files. Until all are written and checked none is in its place.
func (p Plan) Apply() error {
	staged, err := p.stage()
	defer discard(staged)
	if err != nil {
		return err
	}
	if err := p.check(staged); err != nil {
		return err
	}
	for _, ready := range staged {
		if err := ready.rename(); err != nil {
			return fmt.Errorf("writing %s: %w", ready.Path, err)
		}
	}
	return nil
}

// staged is a file that is written and not in its place yet.
type staged struct {
	File
	// target is Path, or where its link leads.
	target    string
	temporary string
}

func (p Plan) stage() ([]staged, error) {
	var all []staged
	for _, file := range p.Files {
		ready, err := file.stage()
		if err != nil {
			return all, fmt.Errorf("writing %s: %w", file.Path, err)
		}
		all = append(all, ready)
	}
	return all, nil
}

func discard(all []staged) {
	for _, ready := range all {
		// Renamed ones are gone.
		_ = os.Remove(ready.temporary)
	}
}

func (p Plan) check(all []staged) error {
	if p.Check == nil {
		return nil
	}
	temporaries := Staged{}
	for _, ready := range all {
		temporaries[ready.Path] = ready.temporary
	}
	return p.Check(temporaries)
}

// resolved follows the links of an admin, who may have the file elsewhere.
func resolved(path string) (string, error) {
	target, err := filepath.EvalSymlinks(path)
	if errors.Is(err, fs.ErrNotExist) {
		return path, nil
	}
	return target, err
}

// stage writes the content beside the file, with the mode and owner that it will have.
func (f File) stage() (staged, error) {
	target, err := resolved(f.Path)
	if err != nil {
		return staged{}, err
	}
	folder, name := filepath.Split(target)
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return staged{}, err
	}
	temporary, err := os.CreateTemp(folder, "."+name+".spire-config-*")
	if err != nil {
		return staged{}, err
	}
	defer temporary.Close()
	if err := errors.Join(f.dress(temporary), write(temporary, f.Content)); err != nil {
		return staged{}, errors.Join(err, os.Remove(temporary.Name()))
	}
	return staged{f, target, temporary.Name()}, nil
}

func write(file *os.File, content []byte) error {
	if _, err := file.Write(content); err != nil {
		return err
	}
	return file.Sync()
}

// dress gives the new file the old one's owner and mode.
func (f File) dress(file *os.File) error {
	info, err := os.Stat(f.Path)
	if errors.Is(err, fs.ErrNotExist) {
		return file.Chmod(f.Mode)
	}
	if err != nil {
		return err
	}
	mode := info.Mode().Perm()
	if f.Private {
		mode &= f.Mode
	}
	owner := info.Sys().(*syscall.Stat_t)
	if err := file.Chown(int(owner.Uid), int(owner.Gid)); err != nil {
		return err
	}
	return file.Chmod(mode)
}

func (s staged) rename() error {
	if !s.NoBackup {
		if err := Keep(s.target); err != nil {
			return err
		}
	}
	if err := os.Rename(s.temporary, s.target); err != nil {
		return err
	}
	return syncFolder(s.target)
}

func syncFolder(path string) error {
	folder, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	defer folder.Close()
	return folder.Sync()
}

// Keep gives a file that is there a second name, which nothing has yet:
// NAME.before-spire-config, or that and a number.
func Keep(path string) error {
	for i := range 1000 {
		err := os.Link(path, backup(path, i))
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return nil
		case !errors.Is(err, fs.ErrExist):
			return err
		}
	}
	return fmt.Errorf("%s: a thousand former versions are there already: delete some", path)
}

// MoveAway renames a file to the name that Keep would give it.
func MoveAway(path string) error {
	if err := Keep(path); err != nil {
		return err
	}
	return os.Remove(path)
}

func backup(path string, number int) string {
	if number == 0 {
		return path + ".before-spire-config"
	}
	return fmt.Sprintf("%s.before-spire-config.%d", path, number)
}
