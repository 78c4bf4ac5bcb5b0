// Package apkindex makes and reads the repositories for Alpine's apk: a folder for each
// architecture, with an APKINDEX.tar.gz that is signed.
package apkindex

import (
	"archive/tar"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/apkfile"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/architecture"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/repo/index"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/repo/ledger"
)

const (
	root   = "apk"
	suffix = ".apk"
	name   = "APKINDEX.tar.gz"
	every  = "noarch"
	// Names in an index.
	list        = "APKINDEX"
	description = "DESCRIPTION"
)

// archs are the architectures of what is published, by apk's names, which are the
// kernel's, as rpm's are.
var archs = architecture.RPM(architecture.All())

// Index is that of apk.
var Index = index.Kind{
	Folder: root, Suffix: suffix,
	Forms: []index.Form{index.NewForm(root, root, `N_V-r(?P<release>[1-9][0-9]{0,5})_`+index.OneOf(archs, every)+`\.apk`)},
	Heads: heads(), Traces: heads(), Fixed: fixed,
	Folders: places, Base: Base, Keys: keys, Inspect: inspect, Make: build, Read: read,
}

func heads() (paths []string) {
	for _, arch := range archs {
		paths = append(paths, path.Join(root, arch, name))
	}
	return paths
}

// fixed are the indexes, once there was anything in them: a repository of former days has
// none.
func fixed(l ledger.Ledger) [][]string {
	if !has(l) {
		return nil
	}
	return [][]string{heads()}
}

// has says whether the repository has, or had, anything for apk.
func has(l ledger.Ledger) bool {
	is := func(file string) bool { return strings.HasPrefix(file, root+"/") }
	return slices.ContainsFunc(l.All(), func(f ledger.File) bool { return is(f.Path) }) ||
		slices.ContainsFunc(l.Tombstones, func(g ledger.Tombstone) bool { return is(g.Path) })
}

// places are the folders of a file. An apk of no architecture is in those of all.
func places(n index.Name, _ string) (paths []string) {
	for _, arch := range archs {
		if n.Arch == arch || n.Arch == every {
			paths = append(paths, path.Join(root, arch))
		}
	}
	return paths
}

// Base is the name under which apk looks for a file in an architecture's folder.
func Base(n index.Name) string {
	return fmt.Sprintf("%s-%s-r%d%s", n.Package, n.Version, n.Release, suffix)
}

// keys are the files to be put into /etc/apk/keys.
func keys(certificates []index.Certificate) map[string][]byte {
	files := map[string][]byte{}
	for _, certificate := range certificates {
		for name, content := range certificate.Raw {
			files[path.Join(root, "keys", name)] = content
		}
	}
	return files
}

// record is what an index says of a package.
type record struct{ Stanza string }

// inspect looks at new apks: their names, and their signatures.
func inspect(ctx context.Context, files []*index.File, trusted index.Trusted) error {
	var errs []error
	for _, f := range files {
		err := trusted.APK(ctx, f.From)
		if err == nil {
			err = describe(f)
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// describe notes what the index is to say of a package.
func describe(f *index.File) error {
	content, err := os.ReadFile(f.From)
	if err != nil {
		return fmt.Errorf("reading an apk: %w", err)
	}
	file, err := apkfile.Read(content)
	if err != nil {
		return fmt.Errorf("reading %s: %w", f.From, err)
	}
	fields, err := file.Fields()
	if err != nil {
		return fmt.Errorf("reading %s: %w", f.From, err)
	}
	says := []string{one(fields, "pkgname"), one(fields, "pkgver"), one(fields, "arch")}
	want := []string{f.Package, fmt.Sprintf("%s-r%d", f.Version, f.Release), f.Arch}
	if !slices.Equal(says, want) {
		return fmt.Errorf("%s is, by what is in it, %s, not %s: an apk is published under its own name only", f.From, strings.Join(says, " "), strings.Join(want, " "))
	}
	if origin := one(fields, "origin"); origin != "" {
		f.Source = origin
	}
	f.Record, err = json.Marshal(record{stanza(file, fields, int64(len(content)))})
	return err
}

// one is the value of a field, empty if it has none or several.
func one(fields []apkfile.Field, name string) string {
	if values := apkfile.Values(fields, name); len(values) == 1 {
		return values[0]
	}
	return ""
}

// stanza is a package in an index (apk-tools' doc/apk-v2.5.scd): a letter, a colon and
// a value a line.
func stanza(file apkfile.File, fields []apkfile.Field, size int64) string {
	lines := []string{"C:" + file.Identity()}
	for _, field := range []struct{ letter, name string }{
		{"P", "pkgname"}, {"V", "pkgver"}, {"A", "arch"}, {"S", ""}, {"I", "size"}, {"T", "pkgdesc"}, {"U", "url"}, {"L", "license"},
		{"o", "origin"}, {"m", "maintainer"}, {"t", "builddate"}, {"D", "depend"}, {"p", "provides"},
	} {
		value := strings.Join(apkfile.Values(fields, field.name), " ")
		if field.letter == "S" {
			value = fmt.Sprint(size)
		}
		if value != "" {
			lines = append(lines, field.letter+":"+value)
		}
	}
	return strings.Join(lines, "\n") + "\n"
}

// build makes and signs the indexes of all architectures. Each is one file, which a
// rename puts in the place of the one before.
func build(ctx context.Context, s index.State) (index.Made, error) {
	files := map[string][]byte{}
	if !has(s.Ledger) {
		return index.Made{}, nil
	}
	for _, head := range heads() {
		var err error
		if files[head], err = made(ctx, s, path.Dir(head)); err != nil {
			return index.Made{}, fmt.Errorf("making %s: %w", head, err)
		}
		if err := s.Folder(path.Dir(head)); err != nil {
			return index.Made{}, err
		}
	}
	put := func() error { return s.PutAll(files) }
	return index.Made{Signed: files, Steps: []index.Step{{Name: "writing the indexes for apk", Do: put}}}, nil
}

// made is the index of a folder.
func made(ctx context.Context, s index.State, folder string) ([]byte, error) {
	var stanzas []string
	for _, f := range s.Ledger.Where(func(f ledger.File) bool { return path.Dir(f.Path) == folder }) {
		var r record
		if err := f.ReadRecord(s.Path("."), &r); err != nil {
			return nil, err
		}
		stanzas = append(stanzas, of(path.Base(folder), r.Stanza))
	}
	entry := func(name, content string) apkfile.Entry {
		return apkfile.Entry{Header: tar.Header{Name: name, Mode: 0o644, ModTime: s.Ledger.Published}, Content: []byte(content)}
	}
	control, err := apkfile.Stream(true,
		entry(description, says(s.Origin, s.Ledger.Published)), entry(list, strings.Join(stanzas, "\n")+"\n"))
	if err != nil {
		return nil, err
	}
	file := apkfile.File{Key: s.Signer.RawKey(), Control: control}
	if file.Signature, err = s.Signer.Raw(ctx, control); err != nil {
		return nil, err
	}
	if err := s.Trusted.Raw(file.Key, control, file.Signature); err != nil {
		return nil, fmt.Errorf("the signing key is not one that clients trust: %w (publish its certificate in the keyring packages before you sign with it)", err)
	}
	return file.Bytes()
}

// of is a package in the index of an architecture. apk looks for a package in the folder of
// the architecture that the index says, and so that is the index's also for what fits every
// machine (abuild has apk index --rewrite-arch for it).
func of(arch, stanza string) string {
	return strings.Replace(stanza, "\nA:"+every+"\n", "\nA:"+arch+"\n", 1)
}

// says is an index's description. apk shows it and takes it for nothing; whoever reads it
// here finds when the index was made, so that an old one is not taken for today's.
func says(origin string, at time.Time) string {
	return strings.ReplaceAll(origin, " ", "-") + " " + at.UTC().Format(time.RFC3339)
}
