package rootfs

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/container"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/matrix"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/registry"
)

// completeTime bounds what the distribution's package manager adds.
const completeTime = 10 * time.Minute

// completed is a root from a registry, to which the distribution's own package
// manager adds what its image lacks.
type completed struct {
	image  matrix.Image
	client string // the package manager
	from   registry.Image
}

// packages are the row's, with what the scenarios build and unpack packages by.
func (c completed) packages() []string {
	image := c.image
	image.Packages = append(slices.Clone(image.Packages), workshop[c.client])
	return image.Installed()
}

// tag names the image by a hash over all that decides what is in it.
func (c completed) tag() string {
	recipe := strings.Join(append([]string{c.from.Source(), c.from.Arch, completion[c.client], readiness}, c.packages()...), "\n")
	sum := sha256.Sum256([]byte(recipe))
	name := strings.NewReplacer("/", "-", ":", "-").Replace(c.image.Reference)
	return fmt.Sprintf("%s%s-%s-%x", tagPrefix, name, c.from.Arch, sum[:6])
}

// provide pulls the image, completes it, and gives it its tag when it is whole.
func (c completed) provide(ctx context.Context, m *Maker) error {
	if err := m.registry.Pull(ctx, &m.Driver, c.from); err != nil {
		return err
	}
	inside, err := container.Workshop(strings.TrimPrefix(c.tag(), tagPrefix), c.from.Source())
	if err != nil {
		return err
	}
	err = c.complete(ctx, inside)
	return errors.Join(err, inside.Discard(ctx))
}

// complete adds in a container what the image lacks, and keeps that as an image.
func (c completed) complete(ctx context.Context, inside container.Container) error {
	limit := completeTime * time.Duration(container.Patience(c.from.Arch))
	ctx, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("it took longer than %s", limit))
	defer cancel()
	if err := inside.Script(completion[c.client]+readiness, c.packages()).Run(ctx); err != nil {
		return fmt.Errorf("completing %s: %w", c.from.Source(), err)
	}
	if err := inside.Commit(c.tag()).Run(ctx); err != nil {
		return fmt.Errorf("keeping the completed %s: %w", c.from.Source(), err)
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
