package pipeline

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
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

// Verify finds out whether files are what was shipped: their checksums, whose
// list a trusted key has signed; their own signatures; and what the provenance,
// which the list has too, says of them. Both are beside the files. What is one
// of several, separated by commas, of: a file, a folder with all files of a
// version, the address of one. An address's files are downloaded into the
// folder downloads.
func (p Pipeline) Verify(ctx context.Context, what, downloads string, trusted sign.Keyring) ([]Verdict, error) {
	sources, err := pkgdef.Sources(p.Root)
	if err != nil {
		return nil, err
	}
	var verdicts []Verdict
	for i, one := range strings.Split(what, ",") {
		if strings.HasPrefix(one, "https://") || strings.HasPrefix(one, "http://") {
			to := filepath.Join(downloads, fmt.Sprint(i))
			from := fetched{address: strings.TrimSuffix(one, "/"), dir: to, trusted: trusted, log: p.Log, limits: usual}
			if err := from.all(ctx); err != nil {
				return nil, err
			}
			one = to
		}
		files, err := filesOf(one)
		if err != nil {
			return nil, err
		}
		v := verifier{trusted: trusted, sources: sources, dir: filepath.Dir(files[0]), whole: files[0] != one}
		verdicts = append(verdicts, v.verify(ctx, files)...)
	}
	return verdicts, nil
}

// filesOf is a file, or all files of a folder.
func filesOf(what string) ([]string, error) {
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
	trusted sign.Keyring
	sources []pkgdef.Source // those that the files can be of
	dir     string
	whole   bool // all files of a version are to be there

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
func (v *verifier) open() error {
	if err := v.readSums(); err != nil {
		return err
	}
	return v.readStatement()
}

// readSums reads the signed list.
func (v *verifier) readSums() error {
	list := filepath.Join(v.dir, artifact.SumsName)
	content, err := beside(list)
	if err != nil {
		return err
	}
	signature, err := beside(list + artifact.Signature)
	if err != nil {
		return err
	}
	v.sums, err = signedSums(v.trusted, content, signature)
	return err
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
		at := slices.IndexFunc(v.sources, func(s pkgdef.Source) bool { return s.Name == match[1] })
		if at < 0 {
			return fmt.Errorf("the provenance %s is of a source that srpm/ does not have", name)
		}
		source, version := v.sources[at], match[2]
		origin := provenance.Origin{Module: source.Module, Version: version, Commit: source.Releases[version].Commit}
		v.about = fmt.Sprintf("made from %s %s, commit %.12s, by %s", origin.Module, origin.Version, v.statement.Commit(), v.statement.Builder)
		if origin.Commit == "" { // nothing here to compare it with
			v.about = strings.Replace(v.about, ", by", fmt.Sprintf(" (by the word of %s), by", cmp.Or(v.statement.CommitBy(), "nobody")), 1)
		}
		return v.statement.MadeFrom(origin)
	}
	return fmt.Errorf("%s lists no provenance: nobody says what its files were made from", artifact.SumsName)
}

// one verifies one file.
func (v *verifier) one(ctx context.Context, file string) (proven []string, err error) {
	name := filepath.Base(file)
	if name == artifact.SumsName || name == artifact.SumsSignature {
		return []string{"signature"}, nil
	}
	sum, _, err := artifact.Digest(file)
	if err != nil {
		return nil, err
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
	if err := how.Verify(ctx, v.trusted, file); err != nil {
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
