package container

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/run"
)

// HasImage says whether there is an image of that name.
func HasImage(ctx context.Context, tag string) bool {
	return docker("image", "inspect", "--format", "{{.Id}}", tag).Run(ctx) == nil
}

// Import makes an image of a root's tarball, or of what standard input gives, for "-".
func Import(tarball, tag string) run.Command { return docker("import", tarball, tag) }

// Digests are the digests by which registries know an image that was pulled, each as
// NAME@sha256:...
func Digests(ctx context.Context, image string) ([]string, error) {
	known, err := docker("image", "inspect", "--format", "{{range .RepoDigests}}{{println .}}{{end}}", image).Output(ctx)
	return strings.Fields(known), err
}

// pullTime bounds a pull. Docker itself gives up much sooner on a registry that
// it does not reach.
const pullTime = 10 * time.Minute

// usualPauses are Driver.Pauses where it has none.
var usualPauses = []time.Duration{15 * time.Second, time.Minute, 3 * time.Minute}

// busy is how a registry says that it will answer later, or a network that it lost
// the answer.
var busy = []string{
	"toomanyrequests", "too many requests", "500 internal server error", "502 bad gateway", "503 service unavailable",
	"504 gateway time", "tls handshake timeout", "connection reset", "unexpected eof",
}

// Pull gets the image of a reference for an architecture, by Go's name, and asks again
// after a pause while the registry says that it is busy.
func (d *Driver) Pull(ctx context.Context, reference, arch string) error {
	pauses := d.Pauses
	if pauses == nil {
		pauses = usualPauses
	}
	for i := 0; ; i++ {
		limited, cancel := context.WithTimeoutCause(ctx, pullTime, fmt.Errorf("it took longer than %s", pullTime))
		err := pull(reference, arch).Run(limited)
		cancel()
		if err == nil || i == len(pauses) || !Says(err, busy) {
			return err
		}
		d.Say(fmt.Sprintf("%s is asked for again in %s: %s", reference, pauses[i], LastLine(err)))
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(pauses[i]):
		}
	}
}

func pull(reference, arch string) run.Command {
	return docker("pull", "--quiet", "--platform", "linux/"+arch, reference)
}

// Workshop is a container in which an image is made of another one, by the network of
// this machine, without systemd and without more rights than Docker gives.
func Workshop(name, from string) (Container, error) {
	label, err := Label()
	return Container{Name: fmt.Sprintf("spire-packages-image-%s-%d", name, os.Getpid()), Image: from, Label: label, Network: "host"}, err
}

// Derive gives the name of an image that a shell script, with its arguments, makes
// of another one, with the changes that `docker commit` takes. What decides what is
// in it decides its name: it is made where it is not there. Its entry point is the
// script's shell.
func Derive(ctx context.Context, name, from, script string, args []string, changes ...string) (tag string, err error) {
	recipe := slices.Concat([]string{from, script}, args, changes)
	sum := sha256.Sum256([]byte(strings.Join(recipe, "\n")))
	tag = fmt.Sprintf("spire-packages-%s:%x", name, sum[:6])
	if HasImage(ctx, tag) {
		return tag, nil
	}
	c, err := Workshop(name, from)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, c.Discard(ctx)) }()
	if err := c.Script(script, args).Run(ctx); err != nil {
		return "", fmt.Errorf("making the image %s: %w", name, err)
	}
	return tag, c.Commit(tag, changes...).Run(ctx)
}
