package scenario

import (
	"testing"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/matrix"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/rootfs/rootfstest"
)

// TestOwnRepositories: a distribution's image has its repositories enabled, of which
// none can be reached from a container; and RHEL's a plugin that wants a subscription.
func TestOwnRepositories(t *testing.T) {
	const repositories = `. "$(dirname "$0")/lib/common.sh"
for folder in /etc/yum.repos.d /etc/distro.repos.d /etc/zypp/repos.d; do
    mkdir -p "$folder"
    printf '%s\n' '[theirs]' 'name=theirs' 'baseurl=http://127.0.0.1:9/' 'enabled=1' 'gpgcheck=0' 'autorefresh=1' >"$folder/theirs.repo"
done
mkdir -p /etc/zypp/services.d /etc/dnf/plugins
printf '%s\n' '[theirs]' 'url=http://127.0.0.1:9/' 'enabled=1' 'autorefresh=1' 'type=ris' >/etc/zypp/services.d/theirs.service
printf '%s\n' '[main]' 'enabled=1' >/etc/dnf/plugins/subscription-manager.conf
pkg_prepare
case $CLIENT in
dnf) quietly dnf --assumeyes install "$TOP"/standin/RPMS/noarch/distro-standin-*.rpm ;;
zypper) quietly zypper --non-interactive install --allow-unsigned-rpm "$TOP"/standin/RPMS/noarch/distro-standin-*.rpm ;;
esac
unwarned "installing beside the distribution's own"
same 'the plugin' enabled=0 "$(sed -n 's/ //g; /^enabled/p' /etc/dnf/plugins/subscription-manager.conf)"
`
	for _, name := range []string{"rpm-4.20", "zypper-1.14"} {
		h, place, _ := driver(t, map[string]string{"repositories": "set -eu\n" + repositories})
		place.Distribution, h.Library = rootfstest.Row(t, name), "../../../tests/scenarios/lib"
		report, err := h.Run(t.Context(), []matrix.Target{place}, []string{"repositories"})
		if err != nil {
			t.Fatal(err)
		}
		if report[0].Status != Passed {
			t.Errorf("%s: %+v", name, report[0])
		}
	}
	rootfstest.NoContainers(t)
}
