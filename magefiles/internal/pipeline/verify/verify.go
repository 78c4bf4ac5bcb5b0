// Package verify finds out whether files are what was shipped.
package verify

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/artifact"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/format"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pkgdef"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/provenance"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/repo/layout"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/repo/transparency"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/sign"
)

// Verdict is what was found out about one file.
type Verdict struct {
	File string // name
	Dir  string // where it is, or should be
	// Proven is what is true of it, in the order in which it was found out.
	Proven []string
	Err    error // why it is not to be trusted; nil if nothing speaks against it
}

// String is the verdict in one line.
func (v Verdict) String() string {
	if v.Err != nil {
		return "BAD  " + printed(v.File) + ": " + printed(strings.Join(strings.Split(v.Err.Error(), "\n"), "; "))
	}
	return "ok   " + printed(v.File) + ": " + printed(strings.Join(v.Proven, ", "))
}

// Print writes verdicts, and is an error if one of them is bad.
func Print(w io.Writer, verdicts []Verdict) error {
	bad := 0
	for _, verdict := range verdicts {
		fmt.Fprintln(w, verdict)
		if verdict.Err != nil {
			bad++
		}
	}
	if bad > 0 {
		return fmt.Errorf("%d of %d files are not what was shipped", bad, len(verdicts))
	}
	return nil
}

// Believed is on whose word files are believed.
type Believed struct {
	Keys    sign.Keyring    // that may have signed their list
	Sources []pkgdef.Source // that they can be of
	// Log is what the public log has; nil where it is not asked.
	Log transparency.Listed
}

// Files finds out whether files are what was shipped: their checksums, whose
// list a trusted key has signed; their own signatures; and what the provenance,
// which the list has too, says of them. Both are beside the files. What is one
// of several, separated by commas, of: a file, a folder with all files of a
// version, the address of one. An address's files are downloaded into the
// folder downloads; log is told of them.
func (b Believed) Files(ctx context.Context, what, downloads string, log io.Writer) ([]Verdict, error) {
	var verdicts []Verdict
	for i, one := range strings.Split(what, ",") {
		if strings.HasPrefix(one, "https://") || strings.HasPrefix(one, "http://") {
			to := filepath.Join(downloads, fmt.Sprint(i))
			from := fetched{address: strings.TrimSuffix(one, "/"), dir: to, trusted: b.Keys, log: log, limits: usual}
			if err := from.all(ctx); err != nil {
				return nil, err
			}
			one = to
		}
		files, err := Paths(one)
		if err != nil {
			return nil, err
		}
		v := verifier{Believed: b, dir: filepath.Dir(files[0]), whole: files[0] != one}
		verdicts = append(verdicts, v.verify(ctx, files)...)
	}
	return verdicts, nil
}

// Folder is an error unless dir has all files of a version, and no others, as they were
// shipped. provenance is the name of the version's.
func (b Believed) Folder(ctx context.Context, dir, provenance string) error {
	files, err := Paths(dir)
	if err != nil {
		return err
	}
	v := verifier{Believed: b, dir: dir}
	if err := v.open(); err != nil {
		return err
	}
	if v.sums[provenance] == "" {
		return fmt.Errorf("its files are of another version: %s lists no %s", artifact.SumsName, provenance)
	}
	verdicts := v.complete(files)
	for _, file := range files {
		_, err := v.one(ctx, file)
		verdicts = append(verdicts, Verdict{File: filepath.Base(file), Err: err})
	}
	var errs []error
	for _, verdict := range verdicts {
		if verdict.Err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", verdict.File, verdict.Err))
		}
	}
	return errors.Join(errs...)
}

// Listed reads dir's list of checksums, by name, if a trusted key has signed it.
func (b Believed) Listed(dir string) (map[string]string, error) {
	list := filepath.Join(dir, artifact.SumsName)
	content, err := beside(list)
	if err != nil {
		return nil, err
	}
	signature, err := beside(list + artifact.Signature)
	if err != nil {
		return nil, err
	}
	return signedSums(b.Keys, content, signature)
}

// IsList says whether a file is the list of checksums, or its signature.
func IsList(name string) bool {
	return name == artifact.SumsName || name == artifact.SumsSignature
}

// Paths are a file, or all files of a folder.
func Paths(what string) ([]string, error) {
	info, err := os.Stat(what)
	if err != nil {
		return nil, fmt.Errorf("looking for what to verify: %w", err)
	}
	if !info.IsDir() {
		return []string{what}, nil
	}
	files, err := filepath.Glob(filepath.Join(what, "*"))
	if err == nil && len(files) == 0 {
		err = fmt.Errorf("there is nothing in %s to verify", what)
	}
	return files, err
}

// verifier verifies the files of one folder.
type verifier struct {
	Believed
	dir   string
	whole bool // all files of a version are to be there

	sums      map[string]string // by name, from the signed list
	statement provenance.Statement
	about     string // what the statement's files were made from
}

func (v *verifier) verify(ctx context.Context, files []string) []Verdict {
	err := v.open()
	verdicts := make([]Verdict, 0, len(files))
	for _, file := range files {
		verdict := Verdict{File: filepath.Base(file), Dir: v.dir, Err: err}
		if err == nil {
			verdict.Proven, verdict.Err = v.one(ctx, file)
		}
		verdicts = append(verdicts, verdict)
	}
	if err == nil && v.whole {
		verdicts = append(verdicts, v.complete(files)...)
	}
	return verdicts
}

// open reads and verifies what is said of the folder's files.
func (v *verifier) open() (err error) {
	if v.sums, err = v.Listed(v.dir); err != nil {
		return err
	}
	return v.readStatement()
}

// signedSums reads a list of checksums, if it has a trusted signature.
func signedSums(trusted sign.Keyring, content, signature []byte) (map[string]string, error) {
	if err := trusted.Detached(bytes.NewReader(content), signature); err != nil {
		return nil, fmt.Errorf("the signature of %s: %w", artifact.SumsName, err)
	}
	sums, err := artifact.ParseSums(content)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", artifact.SumsName, err)
	}
	return sums, nil
}

// beside reads a file that says something about others.
func beside(path string) ([]byte, error) {
	content, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("there is no %s beside it, which says what was shipped: put the release's there", filepath.Base(path))
	}
	return content, err
}

// statementName is the form of the statement's name: source, version, release.
var statementName = regexp.MustCompile(`^([a-z][a-z0-9-]*)_([0-9.]+)-[0-9]+` + regexp.QuoteMeta(artifact.Provenance) + `$`)

func (v *verifier) readStatement() error {
	for name, sum := range v.sums {
		match := statementName.FindStringSubmatch(name)
		if match == nil {
			continue
		}
		content, err := beside(filepath.Join(v.dir, name))
		if err != nil {
			return err
		}
		if got := artifact.DigestBytes(content); got != sum {
			return fmt.Errorf("checksum mismatch: the provenance %s is not what was shipped: its SHA-256 is %s, not %s", name, got, sum)
		}
		if v.statement, err = provenance.ParseStatement(content); err != nil {
			return err
		}
		at := slices.IndexFunc(v.Sources, func(s pkgdef.Source) bool { return s.Name == match[1] })
		if at < 0 {
			return fmt.Errorf("the provenance %s is of a source that srpm/ does not have", name)
		}
		source, version := v.Sources[at], match[2]
		origin := provenance.Origin{Module: source.Module, Version: version, Commit: source.Releases[version].Commit}
		v.about = fmt.Sprintf("made from %s %s, commit %.12s, by %s", origin.Module, origin.Version, v.statement.Commit(), v.statement.Builder)
		switch {
		case source.Own != "":
			v.about = fmt.Sprintf("made from srpm/%s/src, version %s, by %s", source.Name, origin.Version, v.statement.Builder)
		case origin.Commit == "": // nothing here to compare it with
			v.about = strings.Replace(v.about, ", by", fmt.Sprintf(" (by the word of %s), by", cmp.Or(v.statement.CommitBy(), "nobody")), 1)
		}
		return v.statement.MadeFrom(origin)
	}
	return fmt.Errorf("%s lists no provenance: nobody says what its files were made from", artifact.SumsName)
}

// one verifies one file.
func (v *verifier) one(ctx context.Context, file string) (proven []string, err error) {
	name := filepath.Base(file)
	sum, _, err := artifact.Digest(file)
	if err != nil {
		return nil, err
	}
	if v.Log != nil {
		if err := v.Log.Has(layout.Base(name), sum); err != nil {
			return nil, err
		}
		proven = append(proven, "public log")
	}
	if IsList(name) {
		return append(proven, "signature"), nil
	}
	switch want, listed := v.sums[name]; {
	case !listed:
		return nil, fmt.Errorf("it is not among the shipped files that %s lists", artifact.SumsName)
	case sum != want:
		return nil, fmt.Errorf("checksum mismatch: it is not what was shipped: its SHA-256 is %s, not %s", sum, want)
	}
	proven = append(proven, "checksum")
	if statementName.MatchString(name) {
		return proven, nil
	}
	own, err := v.signature(ctx, file)
	if err != nil {
		return nil, err
	}
	return append(append(proven, own...), v.about), v.statement.Covers(name, sum)
}

// signature verifies the signature in a file whose format has one.
func (v *verifier) signature(ctx context.Context, file string) ([]string, error) {
	how, ok := format.Signed(file)
	if !ok {
		return nil, nil
	}
	if err := how.Verify(ctx, v.Keys, file); err != nil {
		return nil, fmt.Errorf("its signature: %w", err)
	}
	return []string{"signature"}, nil
}

// complete finds what was shipped and is not there.
func (v *verifier) complete(files []string) []Verdict {
	var verdicts []Verdict
	for _, subject := range v.statement.Subjects() {
		if !slices.ContainsFunc(files, func(file string) bool { return filepath.Base(file) == subject.Name }) {
			verdicts = append(verdicts, Verdict{File: subject.Name, Dir: v.dir, Err: errors.New("it was shipped, and is not there")})
		}
	}
	return verdicts
}
