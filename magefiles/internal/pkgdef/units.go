package pkgdef

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pkgdef/scriptlets"
)

// Units is a package's services, read from units/<name>/: systemd's, and OpenRC's in
// openrc/ there. A command without a service has none, and no folder.
type Units struct {
	Files    []string // unit files' paths, by name
	Sysusers string   // path of sysusers.conf; empty if there is none
	Tmpfiles string   // path of tmpfiles.conf; empty if there is none
	Preset   string   // path of preset
	AppArmor string   // path of apparmor, the profile that the units name; empty if there is none
	Users    []scriptlets.SysusersLine

	name    string
	static  map[string]bool // units without an [Install] section
	own     []Entry         // the units' own drop-ins
	dropIns []Entry
	shared  []string // paths of the units that other packages bring too
	inits   []Entry  // OpenRC's scripts and their settings
}

// Names are the unit files' names.
func (u Units) Names() []string { return bases(u.Files) }

func bases(files []string) []string {
	var names []string
	for _, file := range files {
		names = append(names, filepath.Base(file))
	}
	return names
}

// Switched are the names of those that can be enabled and disabled. The others
// start by the need of these alone.
func (u Units) Switched() []string {
	return slices.DeleteFunc(u.Names(), func(name string) bool { return u.static[name] })
}

// Services are the units to restart on an upgrade, templates as a pattern for
// their instances.
func (u Units) Services() []string {
	var services []string
	for _, name := range u.Switched() {
		if strings.HasSuffix(name, ".service") {
			services = append(services, strings.Replace(name, "@.service", "@*.service", 1))
		}
	}
	return services
}

func loadUnits(units, name string, shared []string) (Units, error) {
	u, dir := Units{name: name, static: map[string]bool{}}, filepath.Join(units, name)
	for _, unit := range shared {
		if err := checkFile(units, unit); err != nil {
			return Units{}, fmt.Errorf("reading what %s shares: %w", name, err)
		}
		u.shared = append(u.shared, filepath.Join(units, unit))
	}
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) && len(shared) == 0 {
		return u, nil // a command without a service
	}
	if err != nil {
		return Units{}, fmt.Errorf("reading the units of %s: %w", name, err)
	}
	for _, entry := range entries {
		if err := u.add(filepath.Join(dir, entry.Name()), entry); err != nil {
			return Units{}, err
		}
	}
	return u, errors.Join(u.parseUsers(), u.checkPreset())
}

func (u *Units) add(file string, entry fs.DirEntry) (err error) {
	switch name := entry.Name(); {
	case name == "drop-ins" && entry.IsDir():
		u.dropIns, err = tree(file, "")
	case strings.HasSuffix(name, ".service.d") && entry.IsDir():
		var own []Entry
		own, err = tree(file, unitDir+name)
		u.own = append(u.own, own...)
	case name == "openrc" && entry.IsDir():
		err = u.readOpenRC(file)
	case !entry.Type().IsRegular():
		err = fmt.Errorf("%s is not a regular file", file)
	case name == "sysusers.conf":
		u.Sysusers = file
	case name == "tmpfiles.conf":
		u.Tmpfiles = file
	case name == "preset":
		u.Preset = file
	case name == "apparmor":
		u.AppArmor = file
	case strings.HasSuffix(name, ".service"), strings.HasSuffix(name, ".target"):
		u.Files = append(u.Files, file)
		err = u.readUnit(file)
	default:
		err = fmt.Errorf("%s: not a service, its drop-ins (NAME.service.d), a target, sysusers.conf, tmpfiles.conf, preset, apparmor, drop-ins or openrc", file)
	}
	return err
}

// Folders of OpenRC, and how the files for them end here.
const (
	initDir, initSuffix         = "/etc/init.d/", ".initd"
	settingsDir, settingsSuffix = "/etc/conf.d/", ".confd"
)

// readOpenRC takes the scripts and their settings: NAME.initd, and NAME.confd if it has
// any.
func (u *Units) readOpenRC(dir string) error {
	files, err := tree(dir, "")
	for _, entry := range files {
		name, settings := strings.CutSuffix(entry.Path, settingsSuffix)
		script, isScript := strings.CutSuffix(entry.Path, initSuffix)
		switch {
		case isScript:
			entry.Path, entry.Mode = path.Join(initDir, script), 0o755
		case settings && regular(filepath.Join(dir, name+initSuffix)) == nil:
			entry.Path, entry.Kind = path.Join(settingsDir, name), Conf
		default:
			return fmt.Errorf("%s: neither NAME%s, nor NAME%s beside it", entry.From, initSuffix, settingsSuffix)
		}
		u.inits = append(u.inits, entry)
	}
	return err
}

// Inits are the names of the services for OpenRC.
func (u Units) Inits() []string {
	var names []string
	for _, entry := range u.inits {
		if name, ok := strings.CutPrefix(entry.Path, initDir); ok {
			names = append(names, name)
		}
	}
	return names
}

// unitDir is where unit files are installed.
const unitDir = "/usr/lib/systemd/system/"

// readUnit finds out whether the unit can be enabled.
func (u *Units) readUnit(file string) error {
	content, err := os.ReadFile(file)
	if err != nil {
		return fmt.Errorf("reading a unit: %w", err)
	}
	u.static[filepath.Base(file)] = !slices.Contains(strings.Split(string(content), "\n"), "[Install]")
	return nil
}

// checkPreset makes sure that every unit is off by default: what no preset
// names, `systemctl preset` enables.
func (u Units) checkPreset() error {
	if u.Preset == "" {
		return fmt.Errorf("units/%s needs a file preset", u.name)
	}
	content, err := os.ReadFile(u.Preset)
	if err != nil {
		return fmt.Errorf("reading presets: %w", err)
	}
	lines := strings.Split(string(content), "\n")
	for _, name := range append(u.Switched(), bases(u.shared)...) {
		if !slices.Contains(lines, "disable "+name) {
			return fmt.Errorf("%s has no line \"disable %s\"", u.Preset, name)
		}
	}
	return nil
}

// parseUsers reads the u lines of sysusers.conf, for the scriptlets of systems
// that have no systemd-sysusers.
func (u *Units) parseUsers() error {
	if u.Sysusers == "" {
		return nil
	}
	content, err := os.ReadFile(u.Sysusers)
	if err != nil {
		return fmt.Errorf("reading users: %w", err)
	}
	for scanner := bufio.NewScanner(bytes.NewReader(content)); scanner.Scan(); {
		line := strings.TrimSpace(scanner.Text())
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		user, err := parseUser(line)
		if err != nil {
			return fmt.Errorf("%s: %w", u.Sysusers, err)
		}
		u.Users = append(u.Users, user)
	}
	return nil
}

// parseUser splits a line such as `u spire-server - "SPIRE server" /var/lib/x /usr/sbin/nologin`.
func parseUser(line string) (scriptlets.SysusersLine, error) {
	bad := fmt.Errorf("line %q is not of the form: u NAME - \"DESCRIPTION\" HOME SHELL", line)
	before, rest, ok := strings.Cut(line, "\"")
	gecos, after, ok2 := strings.Cut(rest, "\"")
	first, last := strings.Fields(before), strings.Fields(after)
	if !ok || !ok2 || len(first) != 3 || len(last) != 2 || first[0] != "u" {
		return scriptlets.SysusersLine{}, bad
	}
	return scriptlets.SysusersLine{Type: first[0], Name: first[1], ID: first[2], Gecos: gecos, Home: last[0], Shell: last[1]}, nil
}

// sharedEntries are the units that other packages bring too. rpm lets several
// packages have a file, if it is the same. dpkg does not: a deb has it elsewhere,
// and its scriptlets put it in its place.
func (u Units) sharedEntries(exclusive bool) []Entry {
	dir := unitDir
	if exclusive {
		dir = scriptlets.SharedDir(u.name) + "/"
	}
	var entries []Entry
	for _, unit := range u.shared {
		entries = append(entries, Entry{Path: dir + filepath.Base(unit), Kind: File, Mode: 0o644, From: unit})
	}
	return entries
}

// Shared are the paths of the units that other packages bring too.
func (u Units) Shared() []string { return u.shared }

// entries are the installed files, drop-ins below the given folder of examples.
func (u Units) entries(examplesDir string) []Entry {
	file := func(path, from string) Entry { return Entry{Path: path, Kind: File, Mode: 0o644, From: from} }
	var entries []Entry
	for _, unit := range u.Files {
		entries = append(entries, file(unitDir+filepath.Base(unit), unit))
	}
	for _, entry := range u.own {
		entries = append(entries, file(entry.Path, entry.From))
	}
	for _, entry := range []Entry{
		file("/usr/lib/systemd/system-preset/95-"+u.name+".preset", u.Preset),
		file("/usr/lib/sysusers.d/"+u.name+".conf", u.Sysusers),
		file("/usr/lib/tmpfiles.d/"+u.name+".conf", u.Tmpfiles),
	} {
		if entry.From != "" {
			entries = append(entries, entry)
		}
	}
	for _, entry := range u.dropIns {
		entry.Path = examplesDir + "/drop-ins" + entry.Path
		entries = append(entries, entry)
	}
	return entries
}
