package predecessor

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/artifact"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pipeline"
)

// archiveAddress is a variable of the environment: where the archive is served, whose
// packages are upgraded from.
const archiveAddress = "SPIRE_REPO_URL"

// Shipped is a version as it was really published, if it was: what another machine took
// from the archive, or else what is served there. The first version to upgrade from is
// also built in its former packaging; the others only where they were not published.
func (v Versions) Shipped(ctx context.Context, number string) (pipeline.Shipped, error) {
	if dir := os.Getenv(earlierFolder); dir != "" {
		return handedOn(dir, number)
	}
	return v.fromArchive(ctx, number)
}

// fromArchive is a version as it is served.
func (v Versions) fromArchive(ctx context.Context, number string) (pipeline.Shipped, error) {
	o := v.Options
	o.Source, o.Version = "", number
	found, err := v.Pipeline.Shipped(ctx, o, os.Getenv(archiveAddress), string(Dist(v.Checkout).Of(shippedFolder)))
	if err == nil && found.Version != "" {
		fmt.Fprintf(v.Log, "%s, to upgrade from, is the one in the archive\n", found.Version)
	}
	return found, err
}

// shippedFolder has, beside the folders of the versions that were built, one for each
// that was published, by its full version.
const shippedFolder = "published"

// handOnShipped puts what was published into the folder that travels, if there is one.
func (v Versions) handOnShipped(ctx context.Context, shipped pipeline.Shipped) error {
	dir := os.Getenv(earlierFolder)
	if dir == "" || shipped.Version == "" {
		return nil
	}
	number, _, _ := strings.Cut(shipped.Version, "-")
	earlier, err := filepath.Glob(filepath.Join(dir, shippedFolder, number+"-*"))
	for _, packaging := range earlier { // of two nobody could tell which one to take
		err = errors.Join(err, os.RemoveAll(packaging))
	}
	if err != nil {
		return err
	}
	return artifact.MakeDir(filepath.Join(dir, shippedFolder, shipped.Version), func(into string) error {
		return v.Command(ctx, "cp", append(slices.Clone(shipped.Files), into)...)
	})
}

// handedOn is what handOnShipped has put into the folder that travels.
func handedOn(dir, number string) (shipped pipeline.Shipped, err error) {
	if shipped.Files, err = filepath.Glob(filepath.Join(dir, shippedFolder, number+"-*", "*")); err == nil && len(shipped.Files) > 0 {
		shipped.Version = filepath.Base(filepath.Dir(shipped.Files[0]))
	}
	return shipped, err
}
