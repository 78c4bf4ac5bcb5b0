package distro

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"time"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pkgdef"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/run"
)

// Rebuild is one place where the packages are built again from their source
// package, as a row of tests/rebuild.yaml says.
type Rebuild struct {
	Name   string `yaml:"name"`
	Format string `yaml:"format"`
	Image  Image  `yaml:"image"`
	// Toolchain is whose Go compiles: "ours", the one that the packages were
	// built with, or "its own", that of the distribution.
	Toolchain string `yaml:"toolchain"`
	Tier      Tier   `yaml:"tier"`
	// Differs is what may come out otherwise there.
	Differs []Tolerance `yaml:"differs"`
}

// Tolerance is an item of a package that may come out otherwise, and why.
type Tolerance struct {
	Format string `yaml:"format"`
	// Item is a regular expression for a whole item as package manifest names it.
	Item   string `yaml:"item"`
	Reason string `yaml:"reason"`

	form *regexp.Regexp
}

// The toolchains that a rebuild can have.
const (
	OurToolchain = "ours"
	OwnToolchain = "its own"
)

// Rebuilds are the places, and what may differ at all of them.
type Rebuilds struct {
	Targets []Rebuild   `yaml:"places"`
	Differs []Tolerance `yaml:"differs"`
}

// LoadRebuilds reads a rebuild.yaml as strictly as Load reads its file.
func LoadRebuilds(path string) (Rebuilds, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return Rebuilds{}, fmt.Errorf("reading where to rebuild: %w", err)
	}
	all, err := parseRebuilds(data)
	if err != nil {
		return Rebuilds{}, fmt.Errorf("reading where to rebuild of %s: %w", path, err)
	}
	return all, nil
}

func parseRebuilds(data []byte) (all Rebuilds, err error) {
	if err := decode(data, &all); err != nil {
		return all, err
	}
	var errs []error
	if len(all.Targets) == 0 {
		errs = append(errs, errors.New("there is no place"))
	}
	errs = append(errs, compileTolerances(all.Differs))
	for i, place := range all.Targets {
		if err := errors.Join(place.validate(), compileTolerances(place.Differs)); err != nil {
			errs = append(errs, fmt.Errorf("place %d (%s): %w", i+1, place.Name, err))
		}
	}
	return all, errors.Join(errs...)
}

func (r Rebuild) validate() error {
	row := Distribution{Name: r.Name, Format: r.Format, Image: r.Image, Tier: r.Tier, Architectures: architectures, EndOfLife: Date{time.Unix(1, 0)}}
	err := row.validate()
	if r.Toolchain != OurToolchain && r.Toolchain != OwnToolchain {
		err = errors.Join(err, fmt.Errorf("toolchain %q is neither %q nor %q", r.Toolchain, OurToolchain, OwnToolchain))
	}
	return err
}

func compileTolerances(list []Tolerance) error {
	var errs []error
	for i := range list {
		t := &list[i]
		var err error
		if t.form, err = regexp.Compile("^(?:" + t.Item + ")$"); err != nil {
			errs = append(errs, err)
		}
		if t.Item == "" || t.Reason == "" || !slices.Contains(formats(), t.Format) {
			errs = append(errs, fmt.Errorf("what differs: %q needs an item, a format and a reason", t.Item))
		}
	}
	return errors.Join(errs...)
}

// Reason says why the item may differ in packages rebuilt at the place.
func (all Rebuilds) Reason(place Rebuild, item string) (reason string, ok bool) {
	for _, t := range slices.Concat(place.Differs, all.Differs) {
		if t.Format == place.Format && t.form.MatchString(item) {
			return t.Reason, true
		}
	}
	return "", false
}

// rebuildTime bounds a rebuild, which is a cold compilation of everything.
const rebuildTime = 60 * time.Minute

// tick is how often a rebuild says that it is still at work.
const tick = 30 * time.Second

// Job is one rebuild to be run.
type Job struct {
	Rebuild
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

func (j Job) image() Image {
	image := j.Image
	if image.Suite == j.Tools.Suite {
		image.Tools = &j.Tools
	}
	return image
}

// Rebuild builds the source package in a fresh container without a network. An
// error that is an ErrSkip says that this machine cannot.
func (h *Host) Rebuild(ctx context.Context, job Job) error {
	made, err := h.prepare(ctx, Target{Distribution{Name: job.Name, Image: job.image()}, runtime.GOARCH})
	if err != nil {
		return err
	}
	kept := filepath.Join(h.Reports, "rebuild", job.Name)
	said, err := openTranscript(kept)
	if err != nil {
		return err
	}
	defer func() { _ = said.Close() }()
	c := container{name: fmt.Sprintf("spire-packages-rebuild-%s-%d", job.Name, os.Getpid()), image: made.image, owner: made.owner}
	defer func() {
		if err := c.discard(ctx); err != nil {
			h.say(c.name + ": " + err.Error())
		}
	}()
	if err := h.work(ctx, c, job, said); err != nil {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		return fmt.Errorf("%s (see %s)", rebuildReason(said, err), kept)
	}
	return nil
}

// rebuildReason is what the build said last, which says more than its exit code.
func rebuildReason(said *transcript, err error) string {
	var exit *run.Error
	switch {
	case said.fail != "":
		return said.fail
	case errors.As(err, &exit) && said.last != "":
		return fmt.Sprintf("exit code %d after: %s", exit.Code, said.last)
	}
	return err.Error()
}

// work brings the sources in, builds, and brings the packages out.
func (h *Host) work(ctx context.Context, c container, job Job, said *transcript) error {
	ctx, cancel := context.WithTimeoutCause(ctx, rebuildTime, fmt.Errorf("took longer than %s", rebuildTime))
	defer cancel()
	if err := c.createJob(job).Run(ctx); err != nil {
		return fmt.Errorf("creating the container: %w", err)
	}
	if err := deliver(ctx, c, job.Sources, h.scripts()); err != nil {
		return fmt.Errorf("copying the sources in: %w", err)
	}
	defer h.tell(ctx, job.Name, said)()
	build := run.New("docker", "start", "--attach", c.name)
	build.Stdout, build.Stderr = said, said
	if err := build.Run(ctx); err != nil {
		return err
	}
	if err := os.MkdirAll(job.Out, 0o755); err != nil {
		return err
	}
	return run.New("docker", "cp", "--quiet", c.name+":/out/.", job.Out).Run(ctx)
}

// createJob makes a container that runs one script, without a network and
// without any right that a build does not need.
func (c container) createJob(job Job) run.Command {
	args := []string{
		"create", "--name", c.name, "--label", ownerLabel + "=" + c.owner, "--network", "none",
		"--env", "TOOLCHAIN=" + job.Toolchain, "--env", "GOCACHE=" + map[bool]string{true: "/cache"}[job.Cache != ""],
	}
	for _, variable := range job.Env {
		args = append(args, "--env", variable)
	}
	if job.Toolchain == OurToolchain {
		args = append(args, "--volume", job.GoRoot+":/usr/local/go:ro")
	}
	if job.Cache != "" {
		args = append(args, "--volume", job.Cache+":/cache")
	}
	return run.New("docker", append(args, c.image, "/bin/sh", "-c", `exec /bin/sh "$0" 2>&1`, "/"+inside+"/scenarios/"+job.Format+".sh")...)
}

// tell says now and then what the build is at; what it returns ends that.
func (h *Host) tell(ctx context.Context, name string, said *transcript) (end func()) {
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
				h.say(progress(name, "rebuild", time.Since(start), said.latest()))
			}
		}
	}()
	return func() {
		cancel()
		<-ended
	}
}

// latest is the last line, cut to what a screen has room for.
func (t *transcript) latest() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.last[:min(len(t.last), 100)]
}
