// Package registry has the images of registries: which one a row of tests/distros.yaml
// means, pulling it, and the digests that pin it.
package registry

import (
	"context"
	"fmt"
	"os"
	"strings"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/container"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/matrix"
)

// Variable is the environment variable that names another registry than
// Docker's default, with a path if it has one: a mirror, or one made for a test.
const Variable = "SPIRE_TEST_REGISTRY"

// Image is one that a registry has.
type Image struct {
	Reference string // NAME:TAG, as a row has it
	Digest    string // that pins it; empty where the tag decides
	Arch      string // Go's name
	// Mirror is the registry that is asked instead; empty for the reference's own.
	Mirror string
}

// Of is the image that a row's recipe names, for an architecture, in the registry that
// the environment names.
func Of(recipe matrix.Image, arch string) Image {
	return Image{recipe.Reference, recipe.Digest, arch, strings.TrimRight(os.Getenv(Variable), "/")}
}

// Source is the reference by which Docker pulls the image: the one that is pinned,
// or the one that the tag has by now.
func (i Image) Source() string {
	if i.Digest == "" {
		return i.tagged()
	}
	return i.name() + "@" + i.Digest
}

// tagged is the reference by its tag. The default registry keeps the images without
// an owner under library, and a mirror has them there; those of another registry it
// has under that one's host.
func (i Image) tagged() string {
	switch {
	case i.Mirror == "":
		return i.Reference
	case !strings.Contains(i.Reference, "/"):
		return i.Mirror + "/library/" + i.Reference
	}
	return i.Mirror + "/" + i.Reference
}

// name is the reference without its tag.
func (i Image) name() string {
	tagged := i.tagged()
	return tagged[:strings.LastIndex(tagged, ":")]
}

// host is the registry that is asked.
func (i Image) host() string {
	if host, _, found := strings.Cut(i.tagged(), "/"); found && strings.ContainsAny(host, ".:") {
		return host
	}
	return "the default registry"
}

// Client pulls images. Its zero value is ready. A registry that it did not reach once
// it asks no more: each time would cost Docker's patience.
type Client struct {
	unreached map[string]error // by host
}

// Pull gets the image as it is. Where no registry is reached, it is an ErrSkip.
func (c *Client) Pull(ctx context.Context, driver *container.Driver, i Image) error {
	if err := c.unreached[i.host()]; err != nil {
		return err
	}
	err := driver.Pull(ctx, i.Source(), i.Arch)
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case isMissing(err):
		return fmt.Errorf("the registry has no %s: %s", i.Source(), container.LastLine(err))
	}
	err = fmt.Errorf("%w: no image from the registry (%s names another): %s", container.ErrSkip, Variable, container.LastLine(err))
	if c.unreached == nil {
		c.unreached = map[string]error{}
	}
	c.unreached[i.host()] = err
	return err
}

// missing is how a registry that answers says that it does not have the image.
var missing = []string{
	"manifest unknown", "name unknown", "not found",
	"repository does not exist", "access to the resource is denied",
}

func isMissing(err error) bool { return container.Says(err, missing) }
