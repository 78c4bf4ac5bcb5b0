package suite

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// unitsOf runs the check over a copy of the real units, changed.
func unitsOf(t *testing.T, change func(root string) error) string {
	t.Helper()
	root := t.TempDir()
	for _, folder := range []string{"packages", "units"} {
		if err := os.CopyFS(filepath.Join(root, folder), os.DirFS(filepath.Join(checkout, folder))); err != nil {
			t.Fatal(err)
		}
	}
	if err := change(root); err != nil {
		t.Fatal(err)
	}
	var log strings.Builder
	s := Suite{Root: root, Log: &log}
	_ = s.runAll(t.Context(), []Check{{"units", s.units}})
	return log.String()
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
		"as they are":     {func(string) error { return nil }, "", nil},
		"unknown setting": {edit(service, "[Service]\n", "[Service]\nNoSuchSetting=1\n"), "spiffe-oidc-discovery-provider.service", []string{"verify is not silent", "NoSuchSetting"}},
		"no such program": {edit(service, "ExecStart=/usr/bin/spiffe", "ExecStart=/usr/bin/not-there"), "spiffe-oidc-discovery-provider.service", []string{"verify is not silent", "not-there"}},
		"bad target":      {edit("spire-agent/spire-agent.target", "[Unit]\n", "[Unit]\nNoSuchSetting=1\n"), "spire-agent.target", []string{"NoSuchSetting"}},
		"bad template":    {edit("spire-agent/spire-agent@.service", "[Service]\n", "[Service]\nNoSuchSetting=1\n"), "spire-agent@.service", []string{"NoSuchSetting"}},
		"shared folder":   {edit("spire-agent/spire-agent@.service", "StateDirectory=spire/agent/%i", "StateDirectory=spire/agent/+default"), "", []string{"FAIL folders of the units", "/var/lib/spire/agent/+default of spire-agent@.service is or is below"}},
		"exposed":         {edit(service, "CapabilityBoundingSet=\n", ""), "spiffe-oidc-discovery-provider.service", []string{"its exposure is", "more than 1.5"}},
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
