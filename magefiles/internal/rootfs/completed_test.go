package rootfs

import (
	"slices"
	"strings"
	"testing"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/format"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/matrix"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/registry"
)

// of is the registry's image for a recipe.
func of(image matrix.Image, arch, mirror string) registry.Image {
	return registry.Image{Reference: image.Reference, Digest: image.Digest, Arch: arch, Mirror: mirror}
}

// TestCompletedTag: what changes the image changes its name, and nothing else.
func TestCompletedTag(t *testing.T) {
	image := matrix.Image{Reference: "opensuse/leap:16.0", Packages: []string{"curl", "gpg2"}}
	base := completed{image: image, client: "zypper", from: of(image, "amd64", "")}
	if tag := base.tag(); !strings.HasPrefix(tag, "spire-packages-root:opensuse-leap-16.0-amd64-") {
		t.Errorf("tag %s", tag)
	}
	same := base
	same.image.Packages = []string{"gpg2", "curl", "curl"}
	if same.tag() != base.tag() {
		t.Error("the order of packages changes the tag")
	}
	pinned := image
	pinned.Digest = "sha256:" + strings.Repeat("a", 64)
	more := image
	more.Packages = []string{"curl"}
	for name, other := range map[string]completed{
		"packages":     {image: more, client: "zypper", from: of(more, "amd64", "")},
		"client":       {image: image, client: "dnf", from: of(image, "amd64", "")},
		"architecture": {image: image, client: "zypper", from: of(image, "arm64", "")},
		"registry":     {image: image, client: "zypper", from: of(image, "amd64", "127.0.0.1:5000")},
		"pin":          {image: pinned, client: "zypper", from: of(pinned, "amd64", "")},
	} {
		if other.tag() == base.tag() {
			t.Errorf("another %s has the same tag", name)
		}
	}
}

// TestCompletedPackages: whatever the row lists, the scenarios find their tools.
func TestCompletedPackages(t *testing.T) {
	listed := []string{"systemd", "curl"}
	for client, want := range map[string][]string{
		"apt":    {"curl", "dpkg-dev", "systemd"},
		"dnf":    {"curl", "rpm-build", "systemd"},
		"zypper": {"curl", "rpm-build", "systemd"},
	} {
		p := completed{image: matrix.Image{Reference: "debian:12", Packages: listed}, client: client}
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
