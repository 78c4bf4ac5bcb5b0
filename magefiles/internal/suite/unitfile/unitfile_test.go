package unitfile

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pkgdef"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/suite/suitetest"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/suite/tally"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/toolroot"
)

// unitsCopy is a copy of the real units, changed.
func unitsCopy(t *testing.T, change func(root string) error) string {
	t.Helper()
	root := t.TempDir()
	for _, folder := range []string{"packages", "units"} {
		if err := os.CopyFS(filepath.Join(root, folder), os.DirFS(filepath.Join(suitetest.Root, folder))); err != nil {
			t.Fatal(err)
		}
	}
	if err := change(root); err != nil {
		t.Fatal(err)
	}
	return root
}

// unitsOf runs the check over a copy of the real units, changed.
func unitsOf(t *testing.T, change func(root string) error) string {
	t.Helper()
	var log strings.Builder
	root, counts := unitsCopy(t, change), &tally.Tally{Log: &log}
	counts.Run(t.Context(), tally.Check{Name: "units", Run: func(ctx context.Context, counts *tally.Tally) error {
		return checkBy(ctx, counts, root, toolroot.Root{Unpinned: "any systemd will do"})
	}})
	_ = counts.Close()
	return log.String()
}

// TestContainers: what a unit has of mounts, its drop-in for containers takes back.
func TestContainers(t *testing.T) {
	none := func(string) error { return nil }
	for name, c := range map[string]struct {
		change func(string) error
		says   string
	}{
		"as they are":            {none, ""},
		"unit that mounts more":  {edit("spire-server/spire-server@.service", "[Service]\n", "[Service]\nReadOnlyPaths=/srv\n"), "ReadOnlyPaths= of spire-server@.service needs a mount namespace"},
		"container that mounts":  {edit("spire-agent/drop-ins/container.conf", "ProtectHome=no\n", ""), "ProtectHome= of spire-agent.service needs"},
		"state that mounts":      {edit("spire-server/drop-ins/container-state.conf", "PrivateTmp=no", "PrivateTmp=yes"), "PrivateTmp= of spire-server-state.service needs"},
		"container without need": {edit("spire-agent/drop-ins/container.conf", "[Service]\n", "[Service]\nProtectProc=default\n"), "it takes ProtectProc= back, which no unit has"},
	} {
		t.Run(name, func(t *testing.T) {
			packages, err := pkgdef.Load(unitsCopy(t, c.change))
			if err != nil {
				t.Fatal(err)
			}
			var errs []error
			looked := 0
			for _, p := range packages {
				for _, file := range dropIns(p) {
					if !strings.HasPrefix(filepath.Base(file), "container") {
						continue
					}
					looked++
					content, err := os.ReadFile(file)
					errs = append(errs, err, checkMounts(p, places(p, file, string(content)), string(content)))
				}
			}
			err = errors.Join(errs...)
			if (err == nil) != (c.says == "") || err != nil && !strings.Contains(err.Error(), c.says) {
				t.Errorf("it says %v, not %q", err, c.says)
			}
			if looked != 5 {
				t.Errorf("%d drop-ins were looked at", looked)
			}
		})
	}
}

// edit replaces a part of a unit.
func edit(unit, from, to string) func(root string) error {
	return func(root string) error {
		file := filepath.Join(root, "units", unit)
		content, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		if !strings.Contains(string(content), from) {
			panic(unit + " has no " + from)
		}
		return os.WriteFile(file, []byte(strings.Replace(string(content), from, to, 1)), 0o644)
	}
}

func TestUnits(t *testing.T) {
	if _, err := exec.LookPath("systemd-analyze"); err != nil {
		t.Skip("systemd-analyze is not installed: no unit was looked at")
	}
	const service = "spiffe-oidc-discovery-provider/spiffe-oidc-discovery-provider.service"
	for name, c := range map[string]struct {
		change func(string) error
		unit   string // that fails; empty for none
		says   []string
	}{
		"as they are":        {func(string) error { return nil }, "", nil},
		"unknown setting":    {edit(service, "[Service]\n", "[Service]\nNoSuchSetting=1\n"), "spiffe-oidc-discovery-provider.service", []string{"verify is not silent", "NoSuchSetting"}},
		"no such program":    {edit(service, "ExecStart=/usr/bin/spiffe", "ExecStart=/usr/bin/not-there"), "spiffe-oidc-discovery-provider.service", []string{"verify is not silent", "not-there"}},
		"bad target":         {edit("spire-agent/spire-agent.target", "[Unit]\n", "[Unit]\nNoSuchSetting=1\n"), "spire-agent.target", []string{"NoSuchSetting"}},
		"bad template":       {edit("spire-agent/spire-agent@.service", "[Service]\n", "[Service]\nNoSuchSetting=1\n"), "spire-agent@.service", []string{"NoSuchSetting"}},
		"shared folder":      {edit("spire-agent/spire-agent@.service", "StateDirectory=spire/agent/%i", "StateDirectory=spire/agent/+default"), "", []string{"FAIL folders of the units", "/var/lib/spire/agent/+default of spire-agent@.service is or is below"}},
		"exposed":            {edit(service, "CapabilityBoundingSet=\n", ""), "spiffe-oidc-discovery-provider.service", []string{"its exposure is", "more than 1.5"}},
		"drop-in of nowhere": {edit("spiffe-oidc-discovery-provider/drop-ins/log-file.conf", ".service.d", ".d"), "", []string{"FAIL drop-in log-file.conf of spiffe", "for which unit"}},
		"bad drop-in":        {edit("spire-agent/drop-ins/docker.conf", "[Service]\n", "[Service]\nNoSuchSetting=1\n"), "", []string{"FAIL drop-in docker.conf of spire-agent", "NoSuchSetting"}},
		"exposed template": {
			edit("spire-agent/spire-agent@.service", "[Install]", "SystemCallFilter=\nRestrictAddressFamilies=\nNoNewPrivileges=no\nProtectSystem=no\nProtectHome=no\n\n[Install]"),
			"spire-agent@.service", []string{"its exposure is", "more than 2.2"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			log := unitsOf(t, c.change)
			if c.unit == "" && c.says == nil && strings.Contains(log, "FAIL") || c.unit != "" && !strings.Contains(log, "FAIL unit "+c.unit+" ") {
				t.Errorf("not %q failed:\n%s", c.unit, log)
			}
			if !strings.Contains(log, "ok   unit spire-server.service ") {
				t.Errorf("a unit that is right failed, or was not looked at:\n%s", log)
			}
			for _, want := range c.says {
				if !strings.Contains(log, want) {
					t.Errorf("it does not say %q:\n%s", want, log)
				}
			}
			if strings.Contains(log, "%!") {
				t.Errorf("an error is badly put together:\n%s", log)
			}
		})
	}
}
