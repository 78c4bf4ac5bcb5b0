package container_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/container"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/rootfs/rootfstest"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/run"
)

// TestEndsAtOnce: what cannot come up is not waited for, and its word is passed on.
func TestEndsAtOnce(t *testing.T) {
	_, image := rootfstest.Target(t)
	broken := rootfstest.Temporary(t, image)
	tag := "spire-packages-root:broken"
	t.Cleanup(func() { _ = run.New("docker", "rmi", "--force", tag).Run(context.Background()) })
	c := container.Container{Name: broken.Name + "-up", Image: tag, Label: broken.Label, Network: "none"}.WithSystemd(t.TempDir())
	t.Cleanup(func() { _ = c.Discard(context.Background()) })
	spoil := "printf '#!/bin/sh\necho no such luck\nexit 1\n' >/lib/systemd/systemd"
	for _, command := range []run.Command{broken.Script(spoil, nil), broken.Commit(tag), c.Create(), c.Start()} {
		if err := command.Run(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := c.Booted(t.Context(), 1); err == nil || err.Error() != "systemd ended at once: no such luck" {
		t.Errorf("got %v", err)
	}
}

// TestClear plays the run after one that was killed.
func TestClear(t *testing.T) {
	_, image := rootfstest.Target(t)
	dead := container.Container{
		Name: "spire-packages-test-dead", Image: image, Network: "none",
		Label: "spire-packages.owner=1.1", // process 1 did not start one tick after the boot
	}.WithSystemd(t.TempDir())
	t.Cleanup(func() { _ = dead.Discard(context.Background()) })
	left := container.Network{Name: dead.Name, Label: dead.Label}
	t.Cleanup(func() { _ = left.Discard(context.Background()) })
	dead.Network = left.Name
	if err := left.Create().Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := dead.Create().Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	log := new(strings.Builder)
	driver := &container.Driver{Log: log}
	if _, err := driver.Claim(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(dead.Discard(t.Context()), left.Discard(t.Context())); err != nil {
		t.Errorf("removing what is gone: %v", err)
	}
	for _, kind := range []string{"container ", "network "} {
		if !strings.Contains(log.String(), kind+dead.Name) {
			t.Errorf("it says %q, nothing of the %s%s", log, kind, dead.Name)
		}
	}
	if list, err := container.OwnedNetworks(dead.Label).Output(t.Context()); err != nil || list != "" {
		t.Errorf("the network is still there: %q %v", list, err)
	}
	list, err := run.New("docker", "ps", "--all", "--filter", "name="+dead.Name, "--quiet").Output(t.Context())
	if err != nil || list != "" {
		t.Errorf("%s is still there: %q %v", dead.Name, list, err)
	}
}

// TestDerive: an image is made once of a script and its arguments, and again of
// another one.
func TestDerive(t *testing.T) {
	_, from := rootfstest.Target(t)
	tags := map[string]bool{}
	for _, argument := range []string{"one", "one", "two"} {
		tag, err := container.Derive(t.Context(), "test-derived", from, `echo "$1" >/argument`, []string{argument}, "USER nobody")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = run.New("docker", "rmi", tag).Run(context.Background()) })
		tags[tag] = true
		out, err := run.New("docker", "run", "--rm", "--network", "none", "--entrypoint", "sh", tag, "-c", "cat /argument; id -un").Output(t.Context())
		if err != nil || out != argument+"\nnobody" {
			t.Errorf("it has %q, %v", out, err)
		}
	}
	if len(tags) != 2 {
		t.Errorf("the images are %v", tags)
	}
	if _, err := container.Derive(t.Context(), "test-derived", from, "exit 7", nil); err == nil {
		t.Error("a script that fails makes an image")
	}
	rootfstest.NoContainers(t)
}
