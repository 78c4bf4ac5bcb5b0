package distro

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/registry"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/format"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pkgdef"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/run"
)

func TestSource(t *testing.T) {
	for _, test := range []struct{ registry, reference, want string }{
		{"", "fedora:44", "fedora:44"},
		{"", "opensuse/leap:16.0", "opensuse/leap:16.0"},
		{"127.0.0.1:5000", "fedora:44", "127.0.0.1:5000/library/fedora:44"},
		{"mirror.example/hub/", "opensuse/leap:16.0", "mirror.example/hub/opensuse/leap:16.0"},
		{"", "registry.example/owner/name:9", "registry.example/owner/name:9"},
		{"127.0.0.1:5000", "registry.example/owner/name:9", "127.0.0.1:5000/registry.example/owner/name:9"},
	} {
		t.Setenv(registryVar, test.registry)
		place := Target{Distribution{Format: pkgdef.RPM, Image: Image{Reference: test.reference}}, "amd64"}
		if got := place.recipe().(pulled).source(); got != test.want {
			t.Errorf("%s of %q: %s, want %s", test.reference, test.registry, got, test.want)
		}
		if err := place.Image.validate(); err != nil {
			t.Error(err)
		}
		place.Image.Digest = "sha256:" + strings.Repeat("a", 64)
		want := test.want[:strings.LastIndex(test.want, ":")] + "@" + place.Image.Digest
		if got := place.recipe().(pulled).source(); got != want || place.Image.validate() != nil {
			t.Errorf("%s of %q, pinned: %s, want %s", test.reference, test.registry, got, want)
		}
	}
}

// TestPulledTag: what changes the image changes its name, and nothing else.
func TestPulledTag(t *testing.T) {
	image := Image{Reference: "opensuse/leap:16.0", Packages: []string{"curl", "gpg2"}}
	base := pulled{image: image, client: "zypper", arch: "amd64"}
	if tag := base.tag(); !strings.HasPrefix(tag, "spire-packages-root:opensuse-leap-16.0-amd64-") {
		t.Errorf("tag %s", tag)
	}
	same := base
	same.image.Packages = []string{"gpg2", "curl", "curl"}
	if same.tag() != base.tag() {
		t.Error("the order of packages changes the tag")
	}
	more := image
	more.Packages = []string{"curl"}
	for name, other := range map[string]pulled{
		"packages":     {image: more, client: "zypper", arch: "amd64"},
		"client":       {image: image, client: "dnf", arch: "amd64"},
		"architecture": {image: image, client: "zypper", arch: "arm64"},
		"registry":     {image: image, client: "zypper", arch: "amd64", registry: "127.0.0.1:5000"},
		"pin":          {image: Image{Reference: image.Reference, Digest: "sha256:" + strings.Repeat("a", 64), Packages: image.Packages}, client: "zypper", arch: "amd64"},
	} {
		if other.tag() == base.tag() {
			t.Errorf("another %s has the same tag", name)
		}
	}
}

// TestPulledPackages: whatever the row lists, the scenarios find their tools.
func TestPulledPackages(t *testing.T) {
	listed := []string{"systemd", "curl"}
	for client, want := range map[string][]string{
		"apt":    {"curl", "dpkg-dev", "systemd"},
		"dnf":    {"curl", "rpm-build", "systemd"},
		"zypper": {"curl", "rpm-build", "systemd"},
	} {
		p := pulled{image: Image{Reference: "debian:12", Packages: listed}, client: client, arch: "amd64"}
		if got := p.packages(); !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", client, got, want)
		}
	}
	if !slices.Equal(listed, []string{"systemd", "curl"}) {
		t.Errorf("the row now lists %v", listed)
	}
	for _, f := range format.All() {
		for _, client := range f.Clients {
			if workshop[client] == "" || completion[client] == "" {
				t.Errorf("nobody completes an image by %s", client)
			}
		}
	}
}

func TestIsMissing(t *testing.T) {
	for said, want := range map[string]bool{
		"manifest for 127.0.0.1:5000/x:1 not found: manifest unknown: Unknown manifest":                            true,
		"pull access denied for x, repository does not exist or may require 'docker login'":                        true,
		`Get "https://registry.example/v2/": dial tcp: lookup registry.example: no such host`:                      false,
		`Get "http://127.0.0.1:1/v2/": dial tcp 127.0.0.1:1: connect: connection refused`:                          false,
		"net/http: request canceled while waiting for connection (Client.Timeout exceeded while awaiting headers)": false,
		"toomanyrequests: You have reached your pull rate limit":                                                   false,
	} {
		if got := isMissing(&run.Error{Stderr: "Using default tag\nError response from daemon: " + said}); got != want {
			t.Errorf("%s: %t, want %t", said, got, want)
		}
	}
}

// TestBusy: a registry that has no time is asked again, after pauses; one that does
// not have the image, or is not there, is not.
func TestBusy(t *testing.T) {
	before := pauses
	t.Cleanup(func() { pauses = before })
	pauses = []time.Duration{time.Millisecond, time.Millisecond}
	const limit = "toomanyrequests: You have reached your unauthenticated pull rate limit"
	for name, c := range map[string]struct {
		says  string // before the third time
		times int
		skip  bool
		want  string
	}{
		"busy twice":  {limit, 3, false, ""},
		"busy always": {limit + " and again", 3, true, "toomanyrequests"},
		"not there":   {"manifest unknown", 1, false, "the registry has no "},
		"no registry": {"dial tcp 127.0.0.1:1: connect: connection refused", 1, true, "connection refused"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			script := "#!/bin/sh\necho x >>" + dir + "/asked\n[ \"$(wc -l <" + dir + "/asked)\" -lt 3 ] || [ '" + c.says + "' != '" + limit + "' ] || exit 0\necho '" + c.says + "' >&2\nexit 1\n"
			if err := os.WriteFile(filepath.Join(dir, "docker"), []byte(script), 0o700); err != nil { //nolint:gosec // a program
				t.Fatal(err)
			}
			t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
			p := pulled{image: Image{Reference: "debian:12"}, client: "apt", arch: "amd64"}
			err := p.pull(t.Context(), new(Host))
			if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) || errors.Is(err, ErrSkip) != c.skip {
				t.Errorf("%v, want %q", err, c.want)
			}
			asked, _ := os.ReadFile(filepath.Join(dir, "asked"))
			if times := strings.Count(string(asked), "x"); times != c.times {
				t.Errorf("asked %d times, want %d", times, c.times)
			}
		})
	}
}

// cutDown makes of a Debian what distributions' images leave out.
const cutDown = `
echo 'path-exclude=/usr/share/man/*' >/etc/dpkg/dpkg.cfg.d/excludes
printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d
chmod +x /usr/sbin/policy-rc.d
`

// TestRegistry takes the way of the rows that hosted machines run, with a
// registry of its own that has a local root, cut down.
func TestRegistry(t *testing.T) {
	h, place, said := driver(t, map[string]string{"uses": `set -eu
test -s /usr/share/man/man1/tree.1.gz
test ! -e /usr/sbin/policy-rc.d
tree --version
dpkg-source --version
echo "ok: $(systemctl is-system-running)"`})
	server := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0)), registry.WithBlobHandler(registry.NewDiskBlobHandler(t.TempDir()))))
	t.Cleanup(server.Close)
	t.Setenv(registryVar, strings.TrimPrefix(server.URL, "http://"))
	fromRegistry := func(name, reference string) Target {
		return Target{Distribution{Name: name, Format: pkgdef.Deb, Tier: Blocking, Image: Image{Reference: reference, Packages: []string{"tree"}}}, runtime.GOARCH}
	}
	good := fromRegistry("pulled", "debian:12")
	push(t, h, place, good.recipe().(pulled))
	report, err := h.Run(t.Context(), []Target{good, fromRegistry("no-tag", "debian:none"), fromRegistry("no-name", "nobody/nothing:1")}, []string{"uses"})
	if err != nil {
		t.Fatal(err)
	}
	if report[0].Status != Passed {
		t.Errorf("from the registry: %+v\n%s", report[0], said)
	}
	for _, missing := range report[1:] {
		if missing.Status != Failed || !strings.Contains(missing.Reason, "the registry has no ") {
			t.Errorf("an image that is not there: %+v", missing)
		}
	}
	noContainers(t)
}

// push puts a cut down root where the recipe pulls from, and takes care that no
// image of the test stays in Docker.
func push(t *testing.T, h *Host, from Target, to pulled) {
	t.Helper()
	image, err := h.image(t.Context(), from)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = run.New("docker", "rmi", "--force", to.source(), to.tag()).Run(context.Background()) })
	c := temporary(t, image)
	for _, command := range []run.Command{
		c.prepare(cutDown, nil),
		c.commit(to.source()),
		run.New("docker", "push", "--quiet", to.source()),
		run.New("docker", "rmi", to.source()),
	} {
		if err := command.Run(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.discard(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// temporary is a container that goes with the test.
func temporary(t *testing.T, image string) container {
	t.Helper()
	owner, err := ownerOf(proc, fmt.Sprint(os.Getpid()))
	if err != nil {
		t.Fatal(err)
	}
	c := container{name: fmt.Sprintf("spire-packages-%s-%d", strings.ToLower(strings.ReplaceAll(t.Name(), "/", "-")), os.Getpid()), image: image, owner: owner}
	t.Cleanup(func() { _ = c.discard(context.Background()) })
	return c
}

// TestRegistryNotReached: skipped aloud, and asked only once in a run.
func TestRegistryNotReached(t *testing.T) {
	h, place, _ := driver(t, map[string]string{"uses": "true"})
	t.Setenv(registryVar, "127.0.0.1:1")
	place.Image = Image{Reference: "debian:12"}
	report, err := h.Run(t.Context(), []Target{place}, []string{"uses"})
	if err != nil || report[0].Status != Skipped || !strings.Contains(report[0].Reason, "connection refused") {
		t.Errorf("%+v, %v", report, err)
	}
	t.Setenv("PATH", t.TempDir()) // no docker to ask
	if err := place.recipe().provide(t.Context(), h); !errors.Is(err, ErrSkip) || !strings.Contains(err.Error(), "connection refused") {
		t.Errorf("the second row: %v", err)
	}
}

// TestDocumentation turns rpm's documentation off in the ways that images do.
func TestDocumentation(t *testing.T) {
	h, place, _ := driver(t, nil)
	place.Distribution = row(t, "rpm-4.20")
	image, err := h.image(t.Context(), place)
	if err != nil {
		t.Fatal(err)
	}
	check := `
mkdir -p /etc/dnf /etc/zypp /etc/rpm
printf '[main]\ntsflags=nodocs\nkeepcache=1\n' >/etc/dnf/dnf.conf
echo 'rpm.install.excludedocs = yes' >/etc/zypp/zypp.conf
echo '%_excludedocs 1' >/etc/rpm/macros.image
` + docs + `
test "$(cat /etc/dnf/dnf.conf)" = "$(printf '[main]\nkeepcache=1')"
test "$(cat /etc/zypp/zypp.conf)" = 'rpm.install.excludedocs = no'
test "$(rpm --eval '%{?_excludedocs}')" = ''
`
	if err := temporary(t, image).prepare(check, nil).Run(t.Context()); err != nil {
		t.Error(err)
	}
}

// TestReadiness names what an image lacks before a scenario stumbles over it.
func TestReadiness(t *testing.T) {
	h, place, _ := driver(t, nil)
	image, err := h.image(t.Context(), place)
	if err != nil {
		t.Fatal(err)
	}
	for taken, want := range map[string]string{
		"/nothing":                           "",
		"/usr/bin/curl":                      "the image has no curl: add its package to the row",
		"/lib/systemd/systemd":               "the image has no /lib/systemd/systemd: add its package to the row",
		"/etc/ssl/certs/ca-certificates.crt": "the image has no ca-certificates: add the package to the row",
	} {
		t.Run(taken, func(t *testing.T) {
			err := temporary(t, image).prepare("rm -f "+taken+readiness, nil).Run(t.Context())
			switch {
			case want == "" && err != nil:
				t.Error(err)
			case want != "" && (err == nil || lastLine(err) != want):
				t.Errorf("%v, want %s", err, want)
			}
		})
	}
}
