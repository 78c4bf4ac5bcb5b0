package distro

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"
)

// registryVar is the environment variable that names another registry than
// Docker's default, with a path if it has one: a mirror, or one made for a test.
const registryVar = "SPIRE_TEST_REGISTRY"

// pullTime bounds a pull. Docker itself gives up much sooner on a registry that
// it does not reach.
const pullTime = 10 * time.Minute

// completeTime bounds what the distribution's package manager adds.
const completeTime = 10 * time.Minute

// pulled is a root from a registry, to which the distribution's own package
// manager adds what its image lacks.
type pulled struct {
	image    Image
	client   string // the package manager
	arch     string
	registry string // see registryVar; empty for Docker's default
}

// source is the reference by which Docker pulls the image: the one that is pinned,
// or the one that the tag has by now.
func (p pulled) source() string {
	tagged := p.tagged()
	if p.image.Digest == "" {
		return tagged
	}
	return tagged[:strings.LastIndex(tagged, ":")] + "@" + p.image.Digest
}

// tagged is the reference by its tag. The default registry keeps the images without
// an owner under library, and a mirror has them there; those of another registry it
// has under that one's host.
func (p pulled) tagged() string {
	if p.registry == "" {
		return p.image.Reference
	}
	if !strings.Contains(p.image.Reference, "/") {
		return p.registry + "/library/" + p.image.Reference
	}
	return p.registry + "/" + p.image.Reference
}

// host is the registry that is asked.
func (p pulled) host() string {
	if host, _, found := strings.Cut(p.tagged(), "/"); found && strings.ContainsAny(host, ".:") {
		return host
	}
	return "the default registry"
}

// packages are the row's, with what the scenarios build and unpack packages by.
func (p pulled) packages() []string {
	image := p.image
	image.Packages = append(slices.Clone(image.Packages), workshop[p.client])
	return image.packages()
}

// tag names the image by a hash over all that decides what is in it.
func (p pulled) tag() string {
	recipe := strings.Join(append([]string{p.source(), p.arch, completion[p.client], readiness}, p.packages()...), "\n")
	sum := sha256.Sum256([]byte(recipe))
	name := strings.NewReplacer("/", "-", ":", "-").Replace(p.image.Reference)
	return fmt.Sprintf("spire-packages-root:%s-%s-%s", name, p.arch, hex.EncodeToString(sum[:6]))
}

// provide pulls the image, completes it, and gives it its tag when it is whole.
func (p pulled) provide(ctx context.Context, h *Host) error {
	if err := p.pull(ctx, h); err != nil {
		return err
	}
	owner, err := ownerOf(proc, fmt.Sprint(os.Getpid()))
	if err != nil {
		return err
	}
	c := container{
		name:  fmt.Sprintf("spire-packages-image-%s-%d", strings.TrimPrefix(p.tag(), "spire-packages-root:"), os.Getpid()),
		image: p.source(), owner: owner,
	}
	err = p.complete(ctx, c)
	return errors.Join(err, c.discard(ctx))
}

// pull gets the image as it is. A registry that was not reached once is not
// asked again in this run: each time would cost Docker's patience.
func (p pulled) pull(ctx context.Context, h *Host) error {
	if err := h.unreached[p.host()]; err != nil {
		return err
	}
	err := p.ask(ctx, h)
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case isMissing(err):
		return fmt.Errorf("the registry has no %s: %s", p.source(), lastLine(err))
	}
	err = fmt.Errorf("%w: no image from the registry (%s names another): %s", ErrSkip, registryVar, lastLine(err))
	if h.unreached == nil {
		h.unreached = map[string]error{}
	}
	h.unreached[p.host()] = err
	return err
}

// pauses are those between pulls, where a registry that answers has no time.
var pauses = []time.Duration{15 * time.Second, time.Minute, 3 * time.Minute}

// ask pulls, and again after a pause while the registry says that it is busy.
func (p pulled) ask(ctx context.Context, h *Host) error {
	for i := 0; ; i++ {
		limited, cancel := context.WithTimeoutCause(ctx, pullTime, fmt.Errorf("it took longer than %s", pullTime))
		err := pullImage(p.source(), p.arch).Run(limited)
		cancel()
		if err == nil || i == len(pauses) || !isBusy(err) {
			return err
		}
		h.say(fmt.Sprintf("%s is asked for again in %s: %s", p.source(), pauses[i], lastLine(err)))
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(pauses[i]):
		}
	}
}

// busy is how a registry says that it will answer later, or a network that it lost
// the answer.
var busy = []string{
	"toomanyrequests", "too many requests", "500 internal server error", "502 bad gateway", "503 service unavailable",
	"504 gateway time", "tls handshake timeout", "connection reset", "unexpected eof",
}

func isBusy(err error) bool { return says(err, busy) }

// missing is how a registry that answers says that it does not have the image.
var missing = []string{
	"manifest unknown", "name unknown", "not found",
	"repository does not exist", "access to the resource is denied",
}

func isMissing(err error) bool { return says(err, missing) }

func says(err error, words []string) bool {
	said := strings.ToLower(lastLine(err))
	return slices.ContainsFunc(words, func(words string) bool { return strings.Contains(said, words) })
}

// complete adds in a container what the image lacks, and keeps that as an image.
func (p pulled) complete(ctx context.Context, c container) error {
	limit := completeTime * time.Duration(patience(p.arch))
	ctx, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("it took longer than %s", limit))
	defer cancel()
	if err := c.prepare(completion[p.client]+readiness, p.packages()).Run(ctx); err != nil {
		return fmt.Errorf("completing %s: %w", p.source(), err)
	}
	if err := c.commit(p.tag()).Run(ctx); err != nil {
		return fmt.Errorf("keeping the completed %s: %w", p.source(), err)
	}
	return nil
}

// workshop is the package with dpkg-source or rpmbuild, by package manager: the
// scenarios unpack a source package, and make packages of another packager.
var workshop = map[string]string{"apt": "dpkg-dev", "dnf": "rpm-build", "zypper": "rpm-build"}

// completion makes of a distribution's image, cut down to be small, what is on
// a machine: with documentation, with services that start, and with the given
// packages. It is by package manager, for a shell that stops at an error.
var completion = map[string]string{
	"apt": `
# Ubuntu's leave documentation out, and forbid services to start.
find /etc/dpkg/dpkg.cfg.d -type f -exec sed -i '/^path-/d' {} +
export DEBIAN_FRONTEND=noninteractive
apt-get update
apt-get install --yes --no-install-recommends "$@"
apt-get clean
rm -f /usr/sbin/policy-rc.d
`,
	"dnf": docs + `
dnf --assumeyes --setopt=install_weak_deps=False install "$@"
dnf clean all
`,
	"zypper": docs + `
zypper --non-interactive install --no-recommends "$@"
zypper clean --all
`,
}

// docs has rpm's documentation installed again, wherever it was turned off.
const docs = `
for file in /etc/dnf/*.conf /etc/dnf/*.conf.d/*.conf /usr/share/dnf5/*.conf.d/*.conf \
    /etc/zypp/zypp.conf /etc/zypp/zypp.conf.d/*.conf /usr/etc/zypp/zypp.conf /etc/rpm/macros*; do
    [ ! -f "$file" ] || sed -i -e '/^ *tsflags *=/d' -e '/^%_excludedocs/d' \
        -e 's/^[# ]*rpm\.install\.excludedocs.*/rpm.install.excludedocs = no/' "$file"
done
`

// readiness says in plain words what the scenarios would miss later.
const readiness = `
for program in curl gpg /lib/systemd/systemd; do
    command -v "$program" >/dev/null || { echo "the image has no $program: add its package to the row" >&2; exit 1; }
done
for store in /etc/ssl/certs/ca-certificates.crt /etc/pki/tls/certs/ca-bundle.crt /etc/ssl/ca-bundle.pem /var/lib/ca-certificates/ca-bundle.pem; do
    [ ! -s "$store" ] || exit 0
done
echo "the image has no ca-certificates: add the package to the row" >&2
exit 1
`

// recipe is how a place's image comes about.
type recipe interface {
	tag() string
	provide(ctx context.Context, h *Host) error
}

func (p Target) recipe() recipe {
	if p.Image.Reference != "" {
		return pulled{image: p.Image, client: p.Client(), arch: p.Arch, registry: strings.TrimRight(os.Getenv(registryVar), "/")}
	}
	made := root{image: p.Image, arch: p.Arch}
	if p.emulated() {
		return newMixed(made)
	}
	return made
}

// image makes the place's image, if it is not there, and gives its name.
func (h *Host) image(ctx context.Context, place Target) (string, error) {
	if err := emulated(binfmt, place.Arch); err != nil {
		return "", err
	}
	if place.emulated() && place.Image.Reference != "" {
		return "", fmt.Errorf("%w: systemd does not run emulated, and there is no native one for a registry's image: run it on a machine of %s", ErrSkip, place.Arch)
	}
	r := place.recipe()
	if imageExists(r.tag()).Run(ctx) == nil {
		return r.tag(), nil
	}
	start := time.Now()
	if err := r.provide(ctx, h); err != nil {
		return "", fmt.Errorf("making the root of %s: %w", place.Name(), err)
	}
	h.say(progress(place.Name(), "root", time.Since(start), ""))
	return r.tag(), nil
}
