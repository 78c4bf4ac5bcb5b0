package mutation

import (
	"context"
	"os"
	"path/filepath"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/artifact"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/matrix"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/suite/fixture"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/suite/host"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/suite/subject"
)

// A fault is planted in the package of the OIDC provider, the smallest. The
// test of the tests passes if the scenario fails at the place, with the words.
type fault struct {
	name, place, scenario string
	words                 string // a regular expression for the reason
	// One of these plants it: in an unpacked deb; in the definitions that an rpm
	// is made from; in a published repository.
	deb         func(root string) error
	definitions func(root string) error
	repository  func(ctx context.Context, s *fixture.Fixture, place matrix.Target, www string) error
}

const (
	planted     = "spiffe-oidc-discovery-provider"
	plantedDocs = "examples/nginx/README.md"
	plantedConf = "oidc-discovery-provider.conf"
	plantedUnit = planted + ".service"
)

// faults are what the scenarios must find.
var faults = []fault{
	{
		name: "missing file", place: host.Deb, scenario: "fresh", words: `nginx/README\.md of ` + planted + `, expected it to be there`,
		deb: func(root string) error { return os.Remove(filepath.Join(root, "usr/share", planted, plantedDocs)) },
	},
	{
		name: "missing file", place: host.RPM, scenario: "fresh", words: `nginx/README\.md of ` + planted + `, expected it to be there`,
		definitions: func(root string) error { return os.Remove(filepath.Join(root, "packages", planted, plantedDocs)) },
	},
	{
		name: "unit that does not start", place: host.Deb, scenario: "works", words: `starting spiffe-oidc-discovery-provider`,
		deb: func(root string) error {
			return subject.Alter(unitIn(root), `(?m)^ExecStart=.*`, "ExecStart=/bin/false")
		},
	},
	{
		name: "unit that does not start", place: host.RPM, scenario: "works", words: `starting spiffe-oidc-discovery-provider`,
		definitions: func(root string) error {
			return subject.Alter(filepath.Join(root, "units", planted, plantedUnit), `(?m)^ExecStart=.*`, "ExecStart=/bin/false")
		},
	},
	{
		name: "scriptlet that fails on upgrade", place: host.Deb, scenario: "upgrade", words: `upgrading.*exit code`,
		deb: func(root string) error {
			return subject.Alter(filepath.Join(root, "DEBIAN/postinst"), `(?m)^set -e$`, "set -e\n[ -z \"$2\" ] || exit 1")
		},
	},
	{
		name: "unit enabled by default", place: host.Deb, scenario: "fresh", words: plantedUnit + ` enabled, expected 'disabled'`,
		deb: func(root string) error {
			return subject.Alter(filepath.Join(root, "DEBIAN/postinst"), `(?m)^set -e$`, "set -e\n[ \"$1\" != configure ] || systemctl --quiet enable "+plantedUnit)
		},
	},
	{
		name: "changed configuration", place: host.Deb, scenario: "fresh", words: plantedConf + ` of ` + planted + `, expected sha256`,
		deb: func(root string) error {
			return subject.Alter(filepath.Join(root, "etc/spire/oidc-discovery-provider", plantedConf), `"info"`, `"debug"`)
		},
	},
	{
		name: "changed configuration", place: host.RPM, scenario: "fresh", words: plantedConf + ` of ` + planted + `, expected sha256`,
		definitions: func(root string) error {
			return subject.Alter(filepath.Join(root, "packages", planted, plantedConf), `"info"`, `"debug"`)
		},
	},
	{
		name: "dynamic program", place: host.Deb, scenario: "fresh", words: planted + `, expected a static program`,
		deb: func(root string) error {
			program, err := os.ReadFile("/bin/sh")
			if err != nil {
				return err
			}
			return os.WriteFile(filepath.Join(root, "usr/bin", planted), program, 0o755)
		},
	},
	{
		name: "folder that everybody may write to", place: host.Deb, scenario: "fresh", words: `/etc/spire/oidc-discovery-provider of ` + planted + `, expected .*, got 'drwxrwxrwx`,
		deb: func(root string) error {
			return os.Chmod(filepath.Join(root, "etc/spire/oidc-discovery-provider"), 0o777)
		},
	},
	{
		name: "example that is documentation", place: host.Deb, scenario: "minimal", words: `examples/drop-ins/port-443\.conf, expected it to be there`,
		deb: func(root string) error {
			share := filepath.Join(root, "usr/share")
			return os.Rename(filepath.Join(share, planted, "examples/drop-ins/port-443.conf"), filepath.Join(share, "doc", planted, "port-443.conf"))
		},
	},
	{
		name: "scriptlet that stops a unit of the admin's own", place: host.Deb, scenario: "own", words: `spire-agent\.service active, expected 'active'`,
		deb: func(root string) error {
			return subject.Alter(filepath.Join(root, "DEBIAN/postinst"), `(?m)^set -e$`, "set -e\nsystemctl stop spire-agent.service")
		},
	},
	{
		name: "drop-in for containers that mounts", place: host.Deb, scenario: "confined", words: `starting spiffe-oidc-discovery-provider`,
		deb: func(root string) error {
			return subject.Alter(filepath.Join(root, "usr/share", planted, "examples/drop-ins/container.conf"), `PrivateTmp=no`, "PrivateTmp=yes")
		},
	},
	{
		name: "D-Bus hidden from the agent", place: host.Deb, scenario: "unit", words: `X\.509 SVID of web\.service`,
		deb: func(root string) error {
			hide := filepath.Join(root, "usr/lib/systemd/system/spire-agent.service.d/hide.conf")
			return artifact.WriteBytes(hide, 0o644, []byte("[Service]\nInaccessiblePaths=/run/dbus\n"))
		},
	},
	{
		name: "unsigned file", place: host.RPM, scenario: "fresh", words: `[Ss]igned|GPG|signature`,
		repository: unsign,
	},
}

func unitIn(root string) string { return filepath.Join(root, "usr/lib/systemd/system", plantedUnit) }
