// Package signing makes of a version's files the folder with all files to ship.
package signing

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/architecture"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/artifact"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/format"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pipeline/admission"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pipeline/inventory"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pipeline/record"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pkgdef"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/provenance"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/run"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/sign"
)

// Folder is that of a version whose files are signed: packages and source packages, the record
// of each architecture's build machine, the provenance of exactly these files, and their
// checksums. The same key makes the same files, whenever that is.
type Folder struct {
	inventory.Version
	Admitted admission.Admitted
	Signer   *sign.Signer
	// Builder is the address that names what runs the build; empty means a machine of
	// the caller's own.
	Builder string
	Root    string // the checkout
	// Signed has a folder for each source, with one for each version.
	Signed string
	Log    io.Writer
}

// Dir is where it is made.
func (f Folder) Dir() string { return filepath.Join(f.Signed, f.Source.Name, f.Tree.FullVersion()) }

// Make makes it, unless that of an earlier run is still right.
func (f Folder) Make(ctx context.Context) ([]artifact.File, error) {
	self, err := artifact.Self()
	if err != nil {
		return nil, err
	}
	packaging, err := f.packaging(ctx)
	if err != nil {
		return nil, err
	}
	builder := struct{ ID string }{f.Builder}
	key := artifact.Key(self, f.Admitted.Files, f.Signer.Fingerprint(), f.Signer.Time(), builder, packaging)
	place := filepath.Join(f.Signed, f.Source.Name, "."+f.Tree.FullVersion()+".json")
	files, found, err := artifact.Cached(place, key, f.still, func() ([]artifact.File, error) {
		if err := artifact.MakeDir(f.Dir(), func(dir string) error { return f.fill(ctx, dir, packaging) }); err != nil {
			return nil, err
		}
		return artifact.Describe(f.Dir())
	})
	for i := range files {
		files[i].Rebuilt = !found
	}
	return files, err
}

// still says whether the folder has exactly the files that were recorded.
func (f Folder) still(files []artifact.File) bool {
	there, err := artifact.Describe(f.Dir())
	return err == nil && slices.Equal(there, files)
}

// packaging is this repository's commit; empty where it is not all that the
// build was made from.
func (f Folder) packaging(ctx context.Context) (string, error) {
	if !run.Have("git") {
		return "", nil
	}
	changed, err := run.New("git", "status", "--porcelain").In(f.Root).Output(ctx)
	if err != nil || changed != "" {
		return "", nil //nolint:nilerr // no repository: an archive of one, say
	}
	return run.New("git", "rev-parse", "HEAD").In(f.Root).Output(ctx)
}

// fill makes all files in dir.
func (f Folder) fill(ctx context.Context, dir, packaging string) error {
	var subjects []provenance.Subject
	for _, file := range f.Admitted.Files {
		subject, err := f.one(ctx, dir, file)
		if err != nil {
			return err
		}
		subjects = append(subjects, subject)
	}
	buildinfos, err := f.buildinfos(dir)
	if err != nil {
		return err
	}
	statement, err := f.statement(packaging).Statement(append(subjects, buildinfos...))
	if err != nil {
		return err
	}
	if _, err := artifact.Keep(filepath.Join(dir, f.name(artifact.Provenance)), statement); err != nil {
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
	return f.Signer.File(ctx, sums, sums+artifact.Signature)
}

// name is that of a file that is of the whole source.
func (f Folder) name(suffix string) string {
	return fmt.Sprintf("%s_%s-%d%s", f.Source.Name, f.Tree.FullVersion(), f.Source.Release, suffix)
}

// one signs a file into dir or, where its format has no place for a signature,
// takes it as it is.
func (f Folder) one(ctx context.Context, dir string, file artifact.File) (provenance.Subject, error) {
	subject := provenance.Subject{Name: file.Name(), SHA256: file.SHA256}
	to := filepath.Join(dir, file.Name())
	how, ok := format.Signed(file.Name())
	if !ok {
		return subject, artifact.Link(file.Path, to)
	}
	err := how.Sign(ctx, f.Signer, file.Path, to)
	if err != nil {
		return subject, err
	}
	fmt.Fprintf(f.Log, "sign %s\n", file.Name())
	subject.Unsigned = file.SHA256
	subject.SHA256, _, err = artifact.Digest(to)
	return subject, err
}

// buildinfos writes the .buildinfo of each architecture's debs.
func (f Folder) buildinfos(dir string) ([]provenance.Subject, error) {
	var subjects []provenance.Subject
	for i, made := range f.Admitted.Records {
		debs, err := filepath.Glob(filepath.Join(dir, "*_"+architecture.Of(made.Arch).Debian+".deb"))
		if err != nil {
			return nil, err
		}
		if i == 0 { // every machine makes the same of what fits all
			every, err := filepath.Glob(filepath.Join(dir, "*_"+pkgdef.EveryArch+".deb"))
			if err != nil {
				return nil, err
			}
			debs = append(debs, every...)
		}
		if len(debs) == 0 || len(made.Installed) == 0 {
			continue // not built by Debian's compilers, or no debs
		}
		files := debs
		source := filepath.Join(dir, f.name(artifact.DSC))
		if _, err := os.Stat(source); err == nil { // binary packages alone can be built
			files = append(files, source)
		}
		buildinfo := f.buildinfo(made, files)
		content, err := buildinfo.BuildInfo()
		if err != nil {
			return nil, err
		}
		file, err := artifact.Keep(filepath.Join(dir, buildinfo.BuildInfoName()), content)
		if err != nil {
			return nil, err
		}
		subjects = append(subjects, provenance.Subject{Name: file.Name(), SHA256: file.SHA256})
	}
	return subjects, nil
}

// buildinfo is what Debian's tools want to know of a build of files.
func (f Folder) buildinfo(made record.Record, files []string) provenance.DebBuild {
	return provenance.DebBuild{
		Source: f.Source.Name, Version: fmt.Sprintf("%s-%d", f.Tree.FullVersion(), f.Source.Release),
		Arch: architecture.Of(made.Arch).Debian, Builder: architecture.Own().Debian, Origin: f.Source.Vendor,
		Files: files, Installed: made.Installed,
		Env: append(slices.Clone(made.Env), "GOTOOLCHAIN="+made.Toolchain, fmt.Sprintf("SOURCE_DATE_EPOCH=%d", f.Tree.Time.Unix())),
	}
}

// statement is how the files were made.
func (f Folder) statement(packaging string) provenance.Build {
	made := provenance.Build{
		Tree: f.Tree, Repository: f.Source.Repository, Release: f.Source.Release,
		Packaging: packaging, Builder: cmp.Or(f.Builder, provenance.LocalBuilder),
	}
	for _, one := range f.Admitted.Records {
		made.Toolchains = append(made.Toolchains, provenance.Toolchain{Module: one.ToolchainModule, Sum: one.ToolchainSum})
		made.Compiles = append(made.Compiles, provenance.Compile{Arch: one.Arch, Flags: one.Flags, Env: one.Env, CC: one.CC, Musl: one.Musl, Tools: one.Tools})
	}
	return made
}
