package pipeline

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/architecture"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/artifact"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/format"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/hub"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/provenance"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/run"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/sign"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/upstream"
)

// Builder says who builds, for the provenance.
type Builder struct {
	// ID is the address that names what runs the build; empty means a machine of
	// the caller's own.
	ID string
}

// Opener gives the key to sign with. It is called when the files to be signed were
// found right, and not before, and is told which source they are of: what only
// others can say of that, such as upstream, is asked before the key is touched.
type Opener func(context.Context, artifact.Tree) (*sign.Signer, error)

// Opened is the Opener of a key that is open already.
func Opened(signer *sign.Signer) Opener {
	return func(context.Context, artifact.Tree) (*sign.Signer, error) { return signer, nil }
}

// Confirmed is an Opener that first compares the commit of the source with upstream's
// own tag: on the module proxy's word alone no key is opened.
func Confirmed(theirs *hub.Repository, key Opener) Opener {
	return func(ctx context.Context, tree artifact.Tree) (*sign.Signer, error) {
		known := upstream.Known{Version: tree.Version, Commit: tree.Commit, By: cmp.Or(tree.CommitBy, "nobody")}
		if err := upstream.Confirm(ctx, theirs, known); err != nil {
			return nil, fmt.Errorf("nothing is signed: %w", err)
		}
		return key(ctx, tree)
	}
}

// Sign builds, and makes of it the folder with all files to ship: packages and
// source packages signed, the record of each architecture's build machine, the
// provenance of exactly these files, and their signed checksums. What may be
// signed is decided by content before the key is opened: see admit. All signatures
// have the time of the source (or of the key, where that is younger): the same
// key makes the same files, whenever that is. The folder is named after the source
// and the version, in signed; empty means dist/signed.
func (p Pipeline) Sign(ctx context.Context, o Options, key Opener, by Builder, signed string) (Result, error) {
	built, err := p.Build(ctx, o)
	if err != nil {
		return Result{}, err
	}
	if !built.Tree.Verified {
		return Result{}, fmt.Errorf("%s is not signed: nobody vouches for its source", built.Tree.FullVersion())
	}
	b, err := p.load(o)
	if err != nil {
		return Result{}, err
	}
	unlock, err := p.Dist.Lock(ctx, p.Log)
	if err != nil {
		return Result{}, err
	}
	defer unlock()
	b.tree = built.Tree
	files, err := b.admit(ctx, by)
	if err != nil {
		return Result{}, fmt.Errorf("nothing is signed: %w", err)
	}
	signer, err := key(ctx, b.tree)
	if err != nil {
		return Result{}, err
	}
	if _, err := p.vouched(signer); err != nil {
		return Result{}, fmt.Errorf("nothing is signed: %w", err)
	}
	if signed == "" {
		signed = p.signedDir()
	}
	s := signing{build: b, files: files, signer: signer.At(built.Tree.Time), by: by, signed: filepath.Join(signed, b.source.Name)}
	return s.make(ctx)
}

// signedDir has the folders of what is shipped, by source and version.
func (p Pipeline) signedDir() string { return filepath.Join(string(p.Dist), "signed") }

// signing is one version's files on their way to be shipped.
type signing struct {
	*build
	files  []artifact.File
	signer *sign.Signer
	by     Builder
	signed string
}

func (s signing) make(ctx context.Context) (Result, error) {
	start := time.Now()
	self, err := selfDigest()
	if err != nil {
		return Result{}, err
	}
	packaging, err := s.packaging(ctx)
	if err != nil {
		return Result{}, err
	}
	key := artifact.Key(self, s.files, s.signer.Fingerprint(), s.signer.Time(), s.by, packaging)
	result := s.result()
	result.Dir, result.Signed = filepath.Join(s.signed, s.tree.FullVersion()), s.signer.Fingerprint()
	place := filepath.Join(s.signed, "."+s.tree.FullVersion()+".json")
	var found bool
	still := func(files []artifact.File) bool { return s.still(result.Dir, files) }
	result.Files, found, err = artifact.Cached(place, key, still, func() ([]artifact.File, error) {
		if err := artifact.MakeDir(result.Dir, func(dir string) error { return s.fill(ctx, dir, packaging) }); err != nil {
			return nil, err
		}
		return artifact.Describe(result.Dir)
	})
	for i := range result.Files {
		result.Files[i].Rebuilt = !found
	}
	result.Took = time.Since(start)
	return result, err
}

// still says whether the folder has exactly the files that were recorded.
func (s signing) still(dir string, files []artifact.File) bool {
	there, err := artifact.Describe(dir)
	return err == nil && slices.Equal(there, files)
}

// packaging is this repository's commit; empty where it is not all that the
// build was made from.
func (s signing) packaging(ctx context.Context) (string, error) {
	if !run.Have("git") {
		return "", nil
	}
	changed, err := run.New("git", "status", "--porcelain").In(s.Root).Output(ctx)
	if err != nil || changed != "" {
		return "", nil //nolint:nilerr // no repository: an archive of one, say
	}
	return run.New("git", "rev-parse", "HEAD").In(s.Root).Output(ctx)
}

// fill makes all files in dir.
func (s signing) fill(ctx context.Context, dir, packaging string) error {
	var subjects []provenance.Subject
	for _, file := range s.files {
		subject, err := s.one(ctx, dir, file)
		if err != nil {
			return err
		}
		subjects = append(subjects, subject)
	}
	infos, err := s.infos()
	if err != nil {
		return err
	}
	records, err := s.records(dir, infos)
	if err != nil {
		return err
	}
	statement, err := s.statement(infos, packaging).Statement(append(subjects, records...))
	if err != nil {
		return err
	}
	if _, err := artifact.Keep(filepath.Join(dir, s.name(artifact.Provenance)), statement); err != nil {
		return err
	}
	all, err := artifact.Describe(dir)
	if err != nil {
		return err
	}
	if err := artifact.WriteSums(dir, all); err != nil {
		return err
	}
	sums := filepath.Join(dir, artifact.SumsName)
	return s.signer.File(ctx, sums, sums+artifact.Signature)
}

// name is that of a file that is of the whole source.
func (s signing) name(suffix string) string {
	return fmt.Sprintf("%s_%s-%d%s", s.source.Name, s.tree.FullVersion(), s.source.Release, suffix)
}

// one signs a file into dir or, where its format has no place for a signature,
// takes it as it is.
func (s signing) one(ctx context.Context, dir string, file artifact.File) (provenance.Subject, error) {
	subject := provenance.Subject{Name: file.Name(), SHA256: file.SHA256}
	to := filepath.Join(dir, file.Name())
	how, ok := format.Signed(file.Name())
	if !ok {
		return subject, artifact.Link(file.Path, to)
	}
	err := how.Sign(ctx, s.signer, file.Path, to)
	if err != nil {
		return subject, err
	}
	fmt.Fprintf(s.Log, "sign %s\n", file.Name())
	subject.Unsigned = file.SHA256
	subject.SHA256, _, err = artifact.Digest(to)
	return subject, err
}

// records writes the .buildinfo of each architecture's debs.
func (s signing) records(dir string, infos []info) ([]provenance.Subject, error) {
	var subjects []provenance.Subject
	for _, info := range infos {
		arch := architecture.Of(info.Arch).Debian
		debs, err := filepath.Glob(filepath.Join(dir, "*_"+arch+".deb"))
		if err != nil {
			return nil, err
		}
		if len(debs) == 0 || len(info.Installed) == 0 {
			continue // not built by Debian's compilers, or no debs
		}
		record := provenance.DebBuild{
			Source: s.source.Name, Version: fmt.Sprintf("%s-%d", s.tree.FullVersion(), s.source.Release),
			Arch: arch, Builder: architecture.Own().Debian, Origin: s.source.Vendor,
			Files: debs, Installed: info.Installed,
			Env: append(slices.Clone(info.Env), "GOTOOLCHAIN="+info.Toolchain, fmt.Sprintf("SOURCE_DATE_EPOCH=%d", s.tree.Time.Unix())),
		}
		source := filepath.Join(dir, s.name(".dsc"))
		if _, err := os.Stat(source); err == nil { // binary packages alone can be built
			record.Files = append(record.Files, source)
		}
		content, err := record.BuildInfo()
		if err != nil {
			return nil, err
		}
		file, err := artifact.Keep(filepath.Join(dir, record.BuildInfoName()), content)
		if err != nil {
			return nil, err
		}
		subjects = append(subjects, provenance.Subject{Name: file.Name(), SHA256: file.SHA256})
	}
	return subjects, nil
}

// statement is how the files were made.
func (s signing) statement(infos []info, packaging string) provenance.Build {
	made := provenance.Build{
		Tree: s.tree, Repository: s.source.Repository, Release: s.source.Release,
		Packaging: packaging, Builder: s.by.ID,
	}
	if made.Builder == "" {
		made.Builder = provenance.LocalBuilder
	}
	for _, info := range infos {
		made.Toolchains = append(made.Toolchains, provenance.Toolchain{Module: info.ToolchainModule, Sum: info.ToolchainSum})
		made.Compiles = append(made.Compiles, provenance.Compile{Arch: info.Arch, Flags: info.Flags, Env: info.Env, CC: info.CC, Musl: info.Musl, Tools: info.Tools})
	}
	return made
}
