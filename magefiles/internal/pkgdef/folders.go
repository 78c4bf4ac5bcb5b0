package pkgdef

import (
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
)

// folderRoots are where systemd makes a unit's folders, by the setting that
// names them.
var folderRoots = map[string]string{
	"StateDirectory": "/var/lib", "RuntimeDirectory": "/run", "CacheDirectory": "/var/cache",
	"LogsDirectory": "/var/log", "ConfigurationDirectory": "/etc",
}

// folder is one that a unit owns, where %i stands for any instance's name.
type folder struct{ unit, path string }

// CheckFolders makes sure that no unit's folder is another's, or below it. systemd
// makes and hands over a unit's folder as root: below one that a service owns,
// that service could put a link in its way.
func CheckFolders(packages []Package) error {
	var all []folder
	var errs []error
	for _, p := range packages {
		for _, file := range p.Units.Files {
			own, err := foldersOf(file)
			all, errs = append(all, own...), append(errs, err)
		}
	}
	for _, lower := range all {
		for _, upper := range all {
			if lower.unit != upper.unit && below(lower.path, upper.path) {
				errs = append(errs, fmt.Errorf("%s of %s is or is below %s of %s, whose user could put a link in its place", lower.path, lower.unit, upper.path, upper.unit))
			}
		}
	}
	return errors.Join(errs...)
}

// foldersOf are a unit's own: those that systemd makes for it, and those in
// /var/lib that it is shown and may write to.
func foldersOf(file string) ([]folder, error) {
	content, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("reading a unit: %w", err)
	}
	var folders []folder
	for line := range strings.Lines(string(content)) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		root, known := folderRoots[key]
		for _, word := range strings.Fields(value) {
			name, _, _ := strings.Cut(strings.TrimPrefix(word, "-"), ":")
			if known || key == "BindPaths" && strings.HasPrefix(name, "/var/lib/") {
				folders = append(folders, folder{filepath.Base(file), path.Join("/", root, name)})
			}
		}
	}
	return folders, nil
}

// instanceName is what %i can be: the characters of a unit's name.
var instanceName = regexp.MustCompile(`^[A-Za-z0-9:_.\\@-]+$`)

// below says whether a path can be another one, or be below it.
func below(lower, upper string) bool {
	parts, above := strings.Split(lower, "/"), strings.Split(upper, "/")
	if len(parts) < len(above) {
		return false
	}
	for i, part := range above {
		if !same(part, parts[i]) && !same(parts[i], part) {
			return false
		}
	}
	return true
}

// same says whether a folder's name can be another one, which is no pattern.
func same(name, other string) bool {
	return name == other || name == "%i" && instanceName.MatchString(other)
}
