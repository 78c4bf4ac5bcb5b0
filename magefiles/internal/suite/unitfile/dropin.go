package unitfile

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/artifact"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pkgdef"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/suite/tally"
)

// dropIns are the paths of the package's additions to its units.
func dropIns(p pkgdef.Package) []string {
	var files []string
	for _, entry := range p.Systemd {
		if entry.Kind == pkgdef.File && strings.Contains(entry.Path, "/examples/drop-ins/") {
			files = append(files, entry.From)
		}
	}
	return files
}

// checkDropIn has systemd read the units with the drop-in where the drop-in says
// that it is to be copied, and holds a container's against them.
func checkDropIn(ctx context.Context, systemd analyzer, p pkgdef.Package, file string) error {
	content, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	units := places(p, file, string(content))
	if len(units) == 0 {
		return errors.New("it does not say for which unit it is: /etc/systemd/system/UNIT.d")
	}
	// Of a service and its template, which differ in paths, one will do.
	place := filepath.Join(systemd.root, "etc/systemd/system", units[0]+".d", filepath.Base(file))
	err = artifact.WriteBytes(place, 0o644, content)
	if err == nil {
		err = silent(ctx, systemd, units[0])
	}
	errs := []error{err, os.Remove(place)}
	if strings.HasPrefix(filepath.Base(file), "container") {
		errs = append(errs, checkMounts(p, units, string(content)))
	}
	return errors.Join(errs...)
}

// places are the package's units that the drop-in's first words name as where it
// is copied to.
func places(p pkgdef.Package, file, content string) []string {
	head, _, _ := strings.Cut(content, "\n\n")
	var units []string
	for _, unit := range p.Units.Names() {
		if strings.Contains(head, unit+".d/"+filepath.Base(file)) || strings.Contains(head, unit+".d for all") {
			units = append(units, unit)
		}
	}
	return units
}

// mounting are the settings for which systemd makes a mount namespace, as
// systemd.exec(5) has them; where it may not, the unit fails.
var mounting = []string{
	"BindPaths", "BindReadOnlyPaths", "ExecPaths", "InaccessiblePaths", "MountFlags", "NoExecPaths",
	"PrivateDevices", "PrivateIPC", "PrivateMounts", "PrivateTmp", "ProcSubset",
	"ProtectControlGroups", "ProtectHome", "ProtectKernelLogs", "ProtectKernelModules",
	"ProtectKernelTunables", "ProtectProc", "ProtectSystem", "ReadOnlyPaths", "ReadWritePaths",
	"RootDirectory", "RootImage", "TemporaryFileSystem",
}

// checkMounts makes sure that the drop-in takes back all that needs a mount
// namespace in the units, and nothing else of the kind.
func checkMounts(p pkgdef.Package, units []string, dropIn string) error {
	var errs []error
	var needed []string
	taken := settings(dropIn)
	for _, file := range p.Units.Files {
		if !slices.Contains(units, filepath.Base(file)) {
			continue
		}
		content, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		set := settings(string(content))
		for _, key := range mounting {
			if off(set, key) {
				continue
			}
			needed = append(needed, key)
			if _, reset := taken[key]; !reset || !off(taken, key) {
				errs = append(errs, fmt.Errorf("%s= of %s needs a mount namespace, and is not taken back", key, filepath.Base(file)))
			}
		}
	}
	for _, key := range mounting {
		if _, reset := taken[key]; reset && !slices.Contains(needed, key) {
			errs = append(errs, fmt.Errorf("it takes %s= back, which no unit has", key))
		}
	}
	return errors.Join(errs...)
}

// settings are the last values of a unit file.
func settings(content string) map[string]string {
	values := map[string]string{}
	for line := range strings.Lines(content) {
		if key, value, ok := strings.Cut(strings.TrimSpace(line), "="); ok && !strings.HasPrefix(key, "#") {
			values[key] = value
		}
	}
	return values
}

// off says that a setting has no effect.
func off(values map[string]string, key string) bool {
	return slices.Contains([]string{"", "no", "default"}, values[key])
}

// silent has systemd read a unit, and say nothing.
func silent(ctx context.Context, systemd analyzer, unit string) error {
	instance := strings.Replace(unit, "@.", "@main.", 1)
	// The man pages are in the packages, not here.
	out, err := systemd.ask(ctx, "verify", "--man=no", instance)
	if err != nil || strings.TrimSpace(out) != "" {
		return errors.Join(errors.New("systemd-analyze verify is not silent:"+tally.Indented(out)), err)
	}
	return nil
}
