package srcpkg

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/artifact"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pkgdef"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/run"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/tarball"
)

// makeDSC makes debian/, its archive, the .dsc and the .changes of an upload.
func (m Maker) makeDSC(ctx context.Context, s Source, archives []artifact.File) ([]artifact.File, error) {
	folder, err := s.debianFolder()
	if err != nil {
		return nil, err
	}
	tools, err := run.New("dpkg-source", "--version").Output(ctx)
	if err != nil {
		return nil, fmt.Errorf("asking dpkg-source for its version: %w", err)
	}
	key := artifact.Key(tools, xz, folder, sums(archives), s.Tree.Time, s.full())
	return m.once(s, DSC, key, s.ownDSC(), func(dir string) error {
		if err := compress(ctx, filepath.Join(dir, s.debian()), folder.pack("debian", s)); err != nil {
			return err
		}
		return s.describe(ctx, dir, folder, archives)
	})
}

// describe has dpkg write the .dsc and the .changes into dir. The format
// "3.0 (custom)" is dpkg-source's way to take archives as they are: it would
// otherwise unpack all of them first, to see that nothing has changed.
func (s Source) describe(ctx context.Context, dir string, folder folder, archives []artifact.File) error {
	tree := filepath.Join(dir, "tree")
	if err := folder.write(filepath.Join(tree, "debian")); err != nil {
		return err
	}
	args := []string{"--build", "--format=3.0 (custom)", "--target-format=3.0 (quilt)", tree}
	for _, archive := range archives {
		if err := os.Link(archive.Path, filepath.Join(dir, archive.Name())); err != nil {
			return fmt.Errorf("linking %s: %w", archive.Name(), err)
		}
		args = append(args, archive.Name())
	}
	env := []string{"SOURCE_DATE_EPOCH=" + s.Epoch(), "LC_ALL=C.UTF-8", "TZ=UTC"}
	if err := run.New("dpkg-source", append(args, s.debian())...).In(dir).WithEnv(env...).Run(ctx); err != nil {
		return err
	}
	return run.New("dpkg-genchanges", "--build=source", "-sa", "-u..", "-O../"+s.changes()).In(tree).WithEnv(env...).Run(ctx)
}

// Epoch is the SOURCE_DATE_EPOCH of all that is made.
func (s Source) Epoch() string { return fmt.Sprint(s.Tree.Time.Unix()) }

// debianFolder is all of debian/.
func (s Source) debianFolder() (folder, error) {
	files := folder{
		"changelog":     {content: s.Changelog},
		"copyright":     {content: s.Copyright},
		"source/format": {content: []byte("3.0 (quilt)\n")},
	}
	var series strings.Builder
	for _, patch := range s.Source.Patches {
		name := filepath.Base(patch)
		files["patches/"+name] = leaf{from: patch}
		series.WriteString(name + "\n")
	}
	if series.Len() > 0 {
		files["patches/series"] = leaf{content: []byte(series.String())}
	}
	for _, p := range s.Packages {
		s.addPackage(files, p)
	}
	d, err := s.data()
	if err != nil {
		return nil, err
	}
	return files, d.addTemplates(files, s.Source.Debian())
}

// elsewhere says for what a package installs under which name debhelper looks
// for it in debian/. The rest is in debian/payload, at its place below the root.
func elsewhere(p Package, installed string) (name string, known bool) {
	doc := "/usr/share/doc/" + p.Name + "/"
	if p.Plugin != nil && installed == p.PluginEnv() {
		return "", true // debian/rules makes it, of the program that it builds
	}
	name, known = map[string]string{
		p.ManPage():                              manPage(p),
		p.Program():                              "", // debian/rules builds it
		doc + "copyright":                        p.Name + ".copyright",
		doc + "changelog.Debian.gz":              "", // dh_installchangelogs takes debian/changelog
		doc + "changelog.gz":                     "", // and upstream's
		"/usr/share/lintian/overrides/" + p.Name: p.Name + ".lintian-overrides",
	}[installed]
	return name, known
}

// manPage is what a package's man page is called in debian/.
func manPage(p Package) string { return fmt.Sprintf("man/%s.%d", p.Name, p.ManSection()) }

func (s Source) addPackage(files folder, p Package) {
	form := p.Forms[pkgdef.Deb]
	tops := map[string]bool{}
	for _, entry := range form.Payload {
		name, special := elsewhere(p, entry.Path)
		if entry.Kind == pkgdef.Dir || special && name == "" {
			continue
		}
		if !special {
			name = "payload/" + p.Name + entry.Path
			tops[strings.Split(entry.Path, "/")[1]] = true
		}
		files[name] = leaf{from: strings.TrimSuffix(entry.From, pkgdef.Zipped), mode: entry.Mode}
	}
	var install strings.Builder
	for _, top := range sortedKeys(tops) {
		fmt.Fprintf(&install, "debian/payload/%s/%s /\n", p.Name, top)
	}
	files[p.Name+".install"] = leaf{content: []byte(install.String())}
	if p.HasProgram() {
		files[p.Name+".manpages"] = leaf{content: []byte("debian/" + manPage(p) + "\n")}
		files["man/"+p.Name+".md"] = leaf{from: p.Manual}
	}
	for name, text := range form.Scriptlets {
		files[p.Name+"."+name] = leaf{content: []byte(text), mode: 0o755}
	}
	for name, text := range form.Helped {
		files["dynamic/"+p.Name+"."+name] = leaf{content: []byte(text), mode: 0o755}
	}
}

// folder is files by their slash-separated names.
type folder map[string]leaf

// leaf is one file: its content, or where that is.
type leaf struct {
	content []byte
	from    string
	mode    os.FileMode
}

func (l leaf) read() ([]byte, error) {
	if l.from == "" {
		return l.content, nil
	}
	return os.ReadFile(l.from)
}

// MarshalJSON is the content, for a folder's key: where it comes from is the
// machine's own.
func (l leaf) MarshalJSON() ([]byte, error) {
	content, err := l.read()
	return fmt.Appendf(nil, "\"%o %x\"", l.mode, content), err
}

// pack writes the folder as an archive under the given name.
func (f folder) pack(name string, s Source) func(io.Writer) error {
	return func(w io.Writer) error {
		archive := tarball.New(w, s.Tree.Time)
		var errs []error
		for _, file := range sortedKeys(f) {
			content, err := f[file].read()
			errs = append(errs, err, archive.Bytes(name+"/"+file, f[file].mode, content))
		}
		return errors.Join(append(errs, archive.Close())...)
	}
}

// write writes the folder's files to dir.
func (f folder) write(dir string) error {
	var errs []error
	for name, leaf := range f {
		content, err := leaf.read()
		mode := leaf.mode
		if mode == 0 {
			mode = 0o644
		}
		errs = append(errs, err, artifact.WriteBytes(filepath.Join(dir, filepath.FromSlash(name)), mode, content))
	}
	return errors.Join(errs...)
}
