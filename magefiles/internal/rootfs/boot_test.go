package rootfs_test

import (
	"testing"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/container"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/rootfs"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/rootfs/rootfstest"
)

// TestDocumentation turns rpm's documentation off in the ways that images do.
func TestDocumentation(t *testing.T) {
	target, _ := rootfstest.Target(t)
	target.Distribution = rootfstest.Row(t, "rpm-4.20")
	image, err := (&rootfs.Maker{Cache: rootfstest.Cache(t)}).RootOf(t.Context(), target)
	if err != nil {
		t.Fatal(err)
	}
	check := `
mkdir -p /etc/dnf /etc/zypp /etc/rpm
printf '[main]\ntsflags=nodocs\nkeepcache=1\n' >/etc/dnf/dnf.conf
echo 'rpm.install.excludedocs = yes' >/etc/zypp/zypp.conf
echo '%_excludedocs 1' >/etc/rpm/macros.image
` + rootfs.Docs + `
test "$(cat /etc/dnf/dnf.conf)" = "$(printf '[main]\nkeepcache=1')"
test "$(cat /etc/zypp/zypp.conf)" = 'rpm.install.excludedocs = no'
test "$(rpm --eval '%{?_excludedocs}')" = ''
`
	if err := rootfstest.Temporary(t, image).Script(check, nil).Run(t.Context()); err != nil {
		t.Error(err)
	}
}

// TestReadiness names what an image lacks before a scenario stumbles over it.
func TestReadiness(t *testing.T) {
	_, image := rootfstest.Target(t)
	for taken, want := range map[string]string{
		"/nothing":                           "",
		"/usr/bin/curl":                      "the image has no curl: add its package to the row",
		"/lib/systemd/systemd":               "the image has no /lib/systemd/systemd: add its package to the row",
		"/etc/ssl/certs/ca-certificates.crt": "the image has no ca-certificates: add the package to the row",
	} {
		t.Run(taken, func(t *testing.T) {
			err := rootfstest.Temporary(t, image).Script("rm -f "+taken+rootfs.Readiness, nil).Run(t.Context())
			switch {
			case want == "" && err != nil:
				t.Error(err)
			case want != "" && (err == nil || container.LastLine(err) != want):
				t.Errorf("%v, want %s", err, want)
			}
		})
	}
}
