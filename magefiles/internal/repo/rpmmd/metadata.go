package rpmmd

import (
	"bytes"
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/artifact"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/repo/index"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/repo/ledger"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/run"
)

// metadata is one rpm-md repository's metadata, the files of its repodata by
// name.
type metadata map[string][]byte

// create has createrepo_c make the metadata of a folder of rpms. Of the
// present metadata it takes what it says of rpms that were there before: it
// opens those that are new only. All times in it are the publication's, so that
// the same rpms give the same bytes.
func create(ctx context.Context, s index.State, p place) (metadata, error) {
	scratch, err := os.MkdirTemp("", "createrepo")
	if err != nil {
		return nil, fmt.Errorf("making a folder for metadata: %w", err)
	}
	defer os.RemoveAll(scratch)
	names := filepath.Join(scratch, "list")
	if err := artifact.WriteBytes(names, 0o600, []byte(lines(p.rpms))); err != nil {
		return nil, err
	}
	seconds := fmt.Sprint(s.Ledger.Published.Unix())
	args := []string{"--quiet", "--error-exit-val", "--no-database", "--general-compress-type=gz", "--pkglist=" + names, "--outputdir=" + scratch,
		"--revision=" + seconds, "--set-timestamp-to-revision", "--update", "--skip-stat"}
	if p.prefix != "" {
		args = append(args, "--location-prefix="+p.prefix)
	}
	for _, certificate := range s.Certificates {
		args = append(args, "--content="+hint(certificate))
	}
	seeded, err := seed(s, p.base, p.rpms)
	if err != nil {
		return nil, err
	}
	if seeded {
		args = append(args, "--update-md-path="+s.Path(p.base))
	}
	if err := run.New("createrepo_c", append(args, s.Path(p.folder))...).Run(ctx); err != nil {
		return nil, fmt.Errorf("making the metadata of %s: %w", p.base, err)
	}
	found, err := readMetadata(filepath.Join(scratch, repodata))
	if err == nil {
		err = found.inform(s, p.rpms)
	}
	if err == nil {
		err = found.check(p)
	}
	if err != nil {
		return nil, fmt.Errorf("the metadata that createrepo_c made of %s: %w", p.base, err)
	}
	return found, nil
}

func lines(files []ledger.File) string {
	var text strings.Builder
	for _, f := range files {
		text.WriteString(f.Name() + "\n")
	}
	return text.String()
}

// seed says whether the present metadata of a folder can be used: whether it is
// what was published. The next one is made of it, and signed. Where it is not,
// all rpms are read anew, at the times that the metadata had for them.
func seed(s index.State, base string, rpms []ledger.File) (bool, error) {
	err := genuine(s.Trusted, s.Path(path.Join(base, repodata)))
	if err == nil {
		return true, nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		fmt.Fprintf(s.Log, "the metadata of %s is not what was published (%v): all its rpms are read anew\n", base, err)
	}
	for _, f := range rpms {
		if err := os.Chtimes(s.Path(f.Path), f.Published, f.Published); err != nil {
			return false, fmt.Errorf("setting the time of %s: %w", f.Path, err)
		}
	}
	return false, nil
}

// genuine is an error if metadata is not what was signed. It wraps
// fs.ErrNotExist where there is none.
func genuine(trusted ledger.Verifier, dir string) error {
	content, err := os.ReadFile(filepath.Join(dir, repomd))
	if err != nil {
		return err
	}
	signed, err := os.ReadFile(filepath.Join(dir, signature))
	if err == nil {
		err = trusted.Detached(bytes.NewReader(content), signed)
	}
	for _, name := range locations(content) {
		sum, _, failed := artifact.Digest(filepath.Join(dir, name))
		if failed == nil && !strings.HasPrefix(name, sum) {
			failed = fmt.Errorf("checksum mismatch: %s has the SHA-256 %s", name, sum)
		}
		err = errors.Join(err, failed)
	}
	if err != nil {
		return errors.New(err.Error()) // there is some, and it is damaged, whatever the cause
	}
	return nil
}

// location is where repomd.xml has the name of a metadata file, which begins with
// the file's digest.
var location = regexp.MustCompile(`<location href="` + repodata + `/([0-9a-f]{64}-[a-z]+\.xml\.gz)"/>`)

// locations are the names of the metadata files that a repomd.xml lists.
func locations(repomd []byte) []string {
	var found []string
	for _, match := range location.FindAllSubmatch(repomd, -1) {
		found = append(found, string(match[1]))
	}
	return found
}

func readMetadata(dir string) (metadata, error) {
	found := metadata{}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	for _, entry := range entries {
		if found[entry.Name()], err = os.ReadFile(filepath.Join(dir, entry.Name())); err != nil {
			return nil, err
		}
	}
	return found, nil
}

// primaryOf is the name of the list of rpms among those of metadata files.
func primaryOf(names []string) (string, error) {
	i := slices.IndexFunc(names, func(name string) bool { return strings.HasSuffix(name, "-primary.xml.gz") })
	if i < 0 {
		return "", fmt.Errorf("%s lists no primary.xml.gz", repomd)
	}
	return names[i], nil
}

// rpm is what primary.xml has of an rpm.
type rpm struct {
	Name    string `xml:"name"`
	SHA256  string `xml:"checksum"`
	Version struct {
		Version string `xml:"ver,attr"`
		Release string `xml:"rel,attr"`
	} `xml:"version"`
	Size struct {
		Package int64 `xml:"package,attr"`
	} `xml:"size"`
	Location struct {
		Href string `xml:"href,attr"`
	} `xml:"location"`
}

// list are the rpms of a primary.xml.gz.
func list(primary []byte) ([]rpm, error) {
	content, err := index.Gunzip(primary)
	if err != nil {
		return nil, err
	}
	var list struct {
		Packages []rpm `xml:"package"`
	}
	err = xml.Unmarshal(content, &list)
	return list.Packages, err
}

// check compares the rpms that the metadata lists with those that are wanted.
func (m metadata) check(p place) error {
	var got, want []string
	for _, f := range p.rpms {
		want = append(want, f.SHA256+"  "+p.prefix+f.Name())
	}
	names := locations(m[repomd])
	for _, name := range names {
		if m[name] == nil || !strings.HasPrefix(name, artifact.DigestBytes(m[name])) {
			return fmt.Errorf("checksum mismatch: %s is not what %s says", name, repomd)
		}
	}
	name, err := primaryOf(names)
	if err != nil {
		return err
	}
	listed, err := list(m[name])
	if err != nil {
		return fmt.Errorf("reading %s: %w", name, err)
	}
	for _, one := range listed {
		got = append(got, one.SHA256+"  "+one.Location.Href)
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		return fmt.Errorf("it does not list what was published, but\n%s\ninstead of\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	return nil
}
