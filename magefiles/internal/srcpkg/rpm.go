package srcpkg

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/artifact"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pkgdef"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/rpmfile"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/run"
)

// buildHost stands in for the name of the machine.
const buildHost = "spire-packages"

// makeSRPM makes the src.rpm: the spec, upstream's archives, the patches, and
// an archive of the rest.
func (m Maker) makeSRPM(ctx context.Context, s Source, archives []artifact.File) ([]artifact.File, error) {
	d, err := s.data()
	if err != nil {
		return nil, err
	}
	spec, err := d.fill(s.Source.Spec())
	if err != nil {
		return nil, err
	}
	tools, err := m.Root.Command(run.New("rpmbuild", "--version")).Output(ctx)
	if err != nil {
		return nil, fmt.Errorf("asking rpmbuild for its version: %w", err)
	}
	files := folder{s.Source.Name + ".spec": {content: spec}}
	for _, patch := range s.Source.Patches {
		files[filepath.Base(patch)] = leaf{from: patch}
	}
	rest := s.packagingFolder()
	key := artifact.Key(tools, xz, files, rest, sums(archives), s.Tree.Time, s.full(), macros, "no room for signatures")
	return m.once(s, SRPM, key, []string{s.srpm()}, func(dir string) error {
		sources := filepath.Join(dir, "SOURCES")
		if err := files.write(sources); err != nil {
			return err
		}
		if err := compress(ctx, filepath.Join(sources, s.packaging()), rest.pack("packaging", s)); err != nil {
			return err
		}
		return m.rpmbuild(ctx, s, dir, sources, archives)
	})
}

// here is the folder that rpmbuild runs in, under a name that is the same
// wherever that is: a src.rpm keeps the expanded spec, with the places of its
// sources in what %setup becomes.
const here = "/proc/self/cwd"

// macros are what makes a src.rpm the same everywhere.
var macros = []string{
	"_topdir " + here, "_sourcedir " + here + "/SOURCES", "_specdir " + here + "/SOURCES", "_srcrpmdir " + here,
	"_buildhost " + buildHost, "use_source_date_epoch_as_buildtime 1", "clamp_mtime_to_source_date_epoch 1",
	"build_mtime_policy clamp_to_source_date_epoch",
	// The archives inside are compressed already.
	"_source_payload w1.gzdio", "_source_filedigest_algorithm 8",
}

func (m Maker) rpmbuild(ctx context.Context, s Source, dir, sources string, archives []artifact.File) error {
	for _, archive := range archives {
		if err := os.Link(archive.Path, filepath.Join(sources, archive.Name())); err != nil {
			return fmt.Errorf("linking %s: %w", archive.Name(), err)
		}
	}
	// A time is only ever lowered to the epoch, and ours are later.
	args := []string{"-bs", "--nodeps", "--target", "x86_64-linux"}
	for _, macro := range macros {
		args = append(args, "--define", macro)
	}
	command := run.New("rpmbuild", append(args, "SOURCES/"+s.Source.Name+".spec")...).In(dir)
	// HOME, because somebody's .rpmmacros are no business of the package's.
	command = command.WithEnv("SOURCE_DATE_EPOCH="+s.Epoch(), "LC_ALL=C.UTF-8", "TZ=UTC", "HOME="+dir)
	if err := m.Root.Owned(command, dir).Run(ctx); err != nil {
		return err
	}
	return trim(filepath.Join(dir, s.srpm()))
}

// trim takes out the room for signatures, of which the macro
// __gpg_reserved_space leaves some in any case: with it, what rpmsign makes of a
// signed src.rpm again would not be the file that was built.
func trim(path string) error {
	content, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("reading the source rpm: %w", err)
	}
	file, err := rpmfile.Read(content)
	if err == nil {
		file, err = file.Trimmed()
	}
	if err != nil {
		return fmt.Errorf("reading %s: %w", filepath.Base(path), err)
	}
	return artifact.WriteBytes(path, 0o644, file.Bytes())
}

// packagingFolder is what the rpms install, at its place below the root, and
// the texts that some of it is made from.
func (s Source) packagingFolder() folder {
	files := folder{}
	for _, p := range s.Packages {
		for _, entry := range p.Forms[pkgdef.RPM].Payload {
			made := entry.Path == p.Program() || p.Plugin != nil && entry.Path == p.PluginEnv()
			if entry.Kind != pkgdef.Dir && entry.Kind != pkgdef.Ghost && !made {
				name := "payload/" + p.Name + strings.TrimSuffix(entry.Path, pkgdef.Zipped)
				files[name] = leaf{from: strings.TrimSuffix(entry.From, pkgdef.Zipped), mode: entry.Mode}
			}
		}
		if p.HasProgram() {
			files["man/"+p.Name+".md"] = leaf{from: p.Manual}
		}
	}
	return files
}
