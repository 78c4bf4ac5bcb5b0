package apt

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/artifact"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/deb822"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/repo/index"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/repo/ledger"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/run"
)

// inspect makes the records of new debs, and of new source packages' descriptions,
// signed or not.
func inspect(ctx context.Context, files []*index.File, _ index.Trusted) error {
	var debs, dscs []*index.File
	for _, f := range files {
		switch {
		case f.Kind == deb:
			debs = append(debs, f)
		case path.Ext(f.From) == artifact.DSC:
			dscs = append(dscs, f)
		}
	}
	return errors.Join(
		within(debs, func(dir string) error { return inspectDebs(ctx, dir, debs) }),
		within(dscs, func(dir string) error { return inspectDSCs(ctx, dir, dscs) }),
	)
}

// linked is the folder inside the one that within makes. In "." itself
// apt-ftparchive leaves Directory out.
const linked = "new"

// within runs read, where there are files, with a folder in which the folder linked
// has links to them, under their names. It is removed afterwards.
func within(files []*index.File, read func(dir string) error) error {
	if len(files) == 0 {
		return nil
	}
	dir, err := os.MkdirTemp("", "repo")
	if err != nil {
		return fmt.Errorf("making a folder for reading packages: %w", err)
	}
	defer os.RemoveAll(dir)
	if err := os.Mkdir(filepath.Join(dir, linked), 0o700); err != nil {
		return fmt.Errorf("making a folder for reading packages: %w", err)
	}
	for _, f := range files {
		from, err := filepath.Abs(f.From)
		if err == nil {
			err = os.Symlink(from, filepath.Join(dir, linked, f.Base()))
		}
		if err != nil {
			return fmt.Errorf("linking %s: %w", f.From, err)
		}
	}
	return read(dir)
}

// ftparchive runs apt-ftparchive in dir. It names damaged packages on standard
// error only, and exits with 0: said is that, for the error of whoever misses
// something in its output. MD5 and SHA-1 prove nothing, and SHA-256 is what
// Debian's own archive has.
func ftparchive(ctx context.Context, dir string, args ...string) (output, said []byte, err error) {
	var out, errs bytes.Buffer
	c := run.New("apt-ftparchive", append([]string{"--quiet", "--no-md5", "--no-sha1", "--no-sha512"}, args...)...).
		In(dir).WithEnv("LC_ALL=C.UTF-8", "TZ=UTC")
	c.Stdout, c.Stderr = &out, &errs
	err = c.Run(ctx)
	return out.Bytes(), errs.Bytes(), err
}

func inspectDebs(ctx context.Context, dir string, files []*index.File) error {
	list, said, err := ftparchive(ctx, dir, "packages", linked)
	if err != nil {
		return fmt.Errorf("reading debs: %w", err)
	}
	found := map[string]deb822.Stanza{}
	for _, stanza := range deb822.Split(list) {
		found[path.Base(stanza.Get("Filename"))] = stanza
	}
	var errs []error
	for _, f := range files {
		errs = append(errs, inspectDeb(ctx, dir, f, found[f.Base()], said))
	}
	return errors.Join(errs...)
}

// inspectDeb makes the record of one deb from its stanza.
func inspectDeb(ctx context.Context, dir string, f *index.File, stanza deb822.Stanza, said []byte) error {
	if stanza == "" {
		return fmt.Errorf("%s is no deb that apt-ftparchive can read: %s", f.From, bytes.TrimSpace(said))
	}
	err := agree(f.From, stanza, map[string]string{
		"Package": f.Package, "Version": f.Full(), "Architecture": f.Arch, "SHA256": f.SHA256, "Size": fmt.Sprint(f.Size),
	})
	if err != nil {
		return err
	}
	// Source is the name alone, or the name and a version (deb-control(5)).
	if source := strings.Fields(stanza.Get("Source")); len(source) > 0 {
		f.Source = source[0]
	}
	contents, said, err := ftparchive(ctx, dir, "contents", path.Join(linked, f.Base()))
	if err != nil {
		return fmt.Errorf("listing the files of %s: %w", f.From, err)
	}
	files := installed(contents)
	if len(files) == 0 {
		return fmt.Errorf("%s installs nothing: %s", f.From, bytes.TrimSpace(said))
	}
	f.Record = ledger.Encode(record{stanza.With("Filename", path.Join(below(f.Source), f.Base())), files})
	return nil
}

// below is the folder of a source's files, as the indexes name it.
func below(source string) string { return strings.TrimPrefix(folder(source), root+"/") }

// installed are the paths of a Contents index of one package, sorted. A line is
// a path, which may have blanks in it, blanks, and what has it.
func installed(contents []byte) []string {
	var files []string
	for line := range strings.Lines(string(contents)) {
		line = strings.TrimRight(line, "\n")
		if i := strings.LastIndexAny(line, " \t"); i > 0 {
			files = append(files, strings.TrimRight(line[:i], " \t"))
		}
	}
	slices.Sort(files)
	return slices.Compact(files)
}

func inspectDSCs(ctx context.Context, dir string, files []*index.File) error {
	list, said, err := ftparchive(ctx, dir, "sources", linked)
	if err != nil {
		return fmt.Errorf("reading source packages: %w", err)
	}
	found := map[string]deb822.Stanza{}
	for _, stanza := range deb822.Split(list) {
		for _, part := range parts(stanza) {
			found[part.Name] = stanza
		}
	}
	var errs []error
	for _, f := range files {
		errs = append(errs, inspectDSC(f, found[f.Base()], said))
	}
	return errors.Join(errs...)
}

// parts are the files of a stanza of Sources.
func parts(stanza deb822.Stanza) []deb822.File { return stanza.Files("Checksums-Sha256") }

func inspectDSC(f *index.File, stanza deb822.Stanza, said []byte) error {
	if stanza == "" {
		return fmt.Errorf("%s is no source package that apt-ftparchive can read: %s", f.From, bytes.TrimSpace(said))
	}
	err := agree(f.From, stanza, map[string]string{"Package": f.Package, "Version": f.Full(), "Directory": linked})
	if err != nil {
		return err
	}
	f.Record = ledger.Encode(record{Stanza: stanza.With("Directory", below(f.Source))})
	for _, part := range parts(stanza) {
		f.Parts = append(f.Parts, index.Part{Name: part.Name, SHA256: part.Digest})
	}
	return nil
}

// agree is an error if a stanza's fields are not what is wanted.
func agree(file string, stanza deb822.Stanza, want map[string]string) error {
	var errs []error
	for name, value := range want {
		if got := stanza.Get(name); got != value {
			errs = append(errs, fmt.Errorf("%s has the %s %q, and its name and content say %q: it is published under its own name only", file, name, got, value))
		}
	}
	return errors.Join(errs...)
}
