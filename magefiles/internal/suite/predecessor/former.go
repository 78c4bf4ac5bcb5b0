package predecessor

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/artifact"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pipeline"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/suite/subject"
)

// formerDefinitions makes definitions of the former packaging of the main source: its
// services, and nothing that moves state.
func (v Versions) formerDefinitions(ctx context.Context, root string) error {
	source, err := v.Main()
	if err != nil {
		return err
	}
	if err := v.CopyDefinitions(ctx, root); err != nil {
		return err
	}
	packages, err := pipeline.Pipeline{Root: v.Root}.Packages(source)
	if err != nil {
		return err
	}
	for _, p := range packages {
		services, failed := filepath.Glob(filepath.Join(root, "units", p.Name, "*.service*"))
		err = errors.Join(err, failed)
		for _, service := range services {
			err = errors.Join(err, os.RemoveAll(service))
		}
	}
	err = errors.Join(err, v.Command(ctx, "cp", "-r", filepath.Join(v.Root, "tests", "former", "units"), root),
		subject.Alter(filepath.Join(root, "srpm", source.Name, "source.yaml"), `(?m)^release: .*`, fmt.Sprintf("release: %d", Release)))
	for _, name := range []string{"spire-server", "spire-agent"} {
		err = errors.Join(err, subject.Alter(filepath.Join(root, "packages", name, "package.yaml"), `(?m)^state: .*\n`, ""))
	}
	return err
}

// olderDefaults puts one more line into each configuration.
func olderDefaults(root string) error {
	files, err := filepath.Glob(filepath.Join(root, "packages", "*", "*.conf"))
	if err != nil || len(files) == 0 {
		return errors.Join(err, errors.New("the packages have no configuration"))
	}
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		if err := artifact.WriteBytes(file, 0o644, append(content, "# The default of an earlier version.\n"...)); err != nil {
			return err
		}
	}
	return nil
}
