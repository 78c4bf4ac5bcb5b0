package rebuild

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/container"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/matrix"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/payload"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pkgdef"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/rootfs"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/run"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/transcript"
)

// limit bounds a rebuild, which is a cold compilation of everything.
const limit = 60 * time.Minute

// tick is how often a rebuild says that it is still at work.
const tick = 30 * time.Second

// Host is the machine that rebuilds.
type Host struct {
	*rootfs.Maker
	Scripts string // folder of what builds, a script a format
	Reports string // folder that gets PLACE with what was said
}

// Job is one rebuild to be run.
type Job struct {
	Place
	Sources []string // files of the source package
	// Tools are those of the source, which a place of their suite has in just their
	// versions.
	Tools pkgdef.Tools
	// GoRoot is the folder of our toolchain on this machine.
	GoRoot string
	// Cache is a folder of this machine's for the go command's build cache;
	// empty means one that nobody used before and nobody will use again.
	Cache string
	// Env are further variables, as KEY=value, of the ones that tests/rebuild
	// lets through.
	Env []string
	Out string // folder that gets the packages
}

func (j Job) image() matrix.Image {
	image := j.Image
	if image.Suite == j.Tools.Suite {
		image.Tools = &j.Tools
	}
	return image
}

// Run builds the source package in a fresh container without a network. An
// error that is a container.ErrSkip says that this machine cannot.
func (h Host) Run(ctx context.Context, job Job) error {
	label, err := h.Claim(ctx)
	if err != nil {
		return err
	}
	image, err := h.Image(ctx, job.Name, job.image())
	if err != nil {
		return err
	}
	kept := filepath.Join(h.Reports, job.Name)
	said, err := transcript.OfScript(kept)
	if err != nil {
		return err
	}
	defer said.Close()
	c := job.container(image, label)
	defer func() {
		if err := c.Discard(ctx); err != nil {
			h.Say(c.Name + ": " + err.Error())
		}
	}()
	if err := h.work(ctx, c, job, said); err != nil {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		return fmt.Errorf("%s (see %s)", reason(said, err), kept)
	}
	return nil
}

// container has no network, and no right that a build does not need.
func (j Job) container(image, label string) container.Container {
	c := container.Container{
		Name:  fmt.Sprintf("spire-packages-rebuild-%s-%d", j.Name, os.Getpid()),
		Image: image, Label: label, Network: "none",
		Env: []string{"TOOLCHAIN=" + j.Toolchain, "GOCACHE="},
	}
	if j.Toolchain == OurToolchain {
		c.Volumes = append(c.Volumes, j.GoRoot+":/usr/local/go:ro")
	}
	if j.Cache != "" {
		c.Env[1] += "/cache"
		c.Volumes = append(c.Volumes, j.Cache+":/cache")
	}
	c.Env = append(c.Env, j.Env...)
	return c
}

// reason is what the build said last, which says more than its exit code.
func reason(said *transcript.Script, err error) string {
	var exit *run.Error
	switch {
	case said.Fail != "":
		return said.Fail
	case errors.As(err, &exit) && said.Last != "":
		return fmt.Sprintf("exit code %d after: %s", exit.Code, said.Last)
	}
	return err.Error()
}

// work brings the sources in, builds, and brings the packages out.
func (h Host) work(ctx context.Context, c container.Container, job Job, said *transcript.Script) error {
	ctx, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("took longer than %s", limit))
	defer cancel()
	if err := c.Create(payload.Script(job.Format)...).Run(ctx); err != nil {
		return fmt.Errorf("creating the container: %w", err)
	}
	load := payload.Payload{Packages: job.Sources, Folders: map[string]string{"scenarios": h.Scripts}}
	if err := load.Deliver(ctx, c); err != nil {
		return fmt.Errorf("copying the sources in: %w", err)
	}
	defer h.tell(ctx, job.Name, said)()
	build := c.Attach()
	build.Stdout, build.Stderr = said, said
	if err := build.Run(ctx); err != nil {
		return err
	}
	if err := os.MkdirAll(job.Out, 0o755); err != nil {
		return err
	}
	return c.Take("/out", job.Out).Run(ctx)
}

// tell says now and then what the build is at; what it returns ends that.
func (h Host) tell(ctx context.Context, name string, said *transcript.Script) (end func()) {
	ctx, cancel := context.WithCancel(ctx)
	start, ended := time.Now(), make(chan struct{})
	go func() {
		defer close(ended)
		ticker := time.NewTicker(tick)
		defer ticker.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
				h.Say(container.Progress(name, "rebuild", time.Since(start), said.Latest()))
			}
		}
	}()
	return func() {
		cancel()
		<-ended
	}
}
