// Package scriptlets turns what is known of a package into the shell scripts
// that dpkg and rpm run. There is one set of templates per format, never one per
// package, so that a mend reaches every package.
package scriptlets

import (
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"
	"text/template"
)

//go:embed versions.sh.tmpl units.sh.tmpl inits.sh.tmpl modes.sh.tmpl tpm.sh.tmpl plugin.sh.tmpl deb/*.sh.tmpl rpm/*.sh.tmpl keyring/*/*.sh.tmpl
var templates embed.FS

// Data is what the templates know of a package.
type Data struct {
	Name    string // the package, and its /usr/bin program
	Version string // upstream's, like 1.13.3

	Steps Steps // how it is upgraded

	Sysusers      bool           // /usr/lib/sysusers.d/NAME.conf is there
	SysusersLines []SysusersLine // what it says
	Tmpfiles      bool           // /usr/lib/tmpfiles.d/NAME.conf is there

	Units    []string // all that can be enabled, templates and targets too
	Services []string // what an upgrade restarts; templates as spire-server@*.service

	// Shared are units that other packages have too. In a deb they are in SharedDir,
	// from where whichever package is there puts them in their place.
	Shared []string
	// TPM lets instances that ask for the TPM have it.
	TPM bool

	// Plugin is the program of a plugin of SPIRE's, and Host the package whose services run
	// it; empty where it is none.
	Plugin, Host string
	// Inits are the services for OpenRC.
	Inits []string

	// Helped leaves users and units to what debhelper puts in place of its token.
	Helped bool

	// AppArmor is whether there is a profile for the services, /etc/apparmor.d/NAME.
	AppArmor bool

	// State is the argument of /usr/libexec/NAME/state; empty if there is none.
	State string

	Config []string // configuration files, which the admin may edit
	Purge  []string // directories that go with a purge; below /run with an rpm's erasure too
	Keep   []string // directories that even a purge keeps unless they are empty
}

// Steps say that upgrades go one minor version a step; without a rule they need not.
type Steps struct {
	Rule   []string // comment lines that say why
	Advice []string // lines for who has left a step out
}

// below is the data for scripts that may act on another root than the running
// system's: what they write before each absolute path.
type below struct {
	Data
	Root string
}

// SharedDir is where a deb has the units that other packages bring too.
func SharedDir(name string) string { return "/usr/share/" + name + "/units" }

// SysusersLine is one line of a sysusers.d file. ID is empty or "-" for a
// number that systemd chooses.
type SysusersLine struct{ Type, Name, ID, Gecos, Home, Shell string }

// Templates are those of dpkg's and of rpm's scripts, for the formats deb and rpm.
func Templates(format string) fs.FS {
	own, err := fs.Sub(templates, format)
	if err != nil {
		panic(err) // a name that is no path
	}
	return own
}

// Render gives the scripts of one format by their names there, such as postinst, prerm
// and postrm: those of the templates own, which may use what all formats have.
func Render(own fs.FS, data Data) (map[string]string, error) {
	if err := data.validate(); err != nil {
		return nil, fmt.Errorf("scriptlets of %q: %w", data.Name, err)
	}
	scripts, err := renderAll(own, data)
	if err != nil {
		return nil, fmt.Errorf("scriptlets of %s: %w", data.Name, err)
	}
	return scripts, nil
}

// suffix ends the names of templates.
const suffix = ".sh.tmpl"

// renderAll fills in all templates of a folder.
func renderAll(own fs.FS, data any) (map[string]string, error) {
	files, err := fs.Glob(own, "*"+suffix)
	if err != nil || len(files) == 0 {
		return nil, errors.New("there are no templates of scriptlets")
	}
	scripts := make(map[string]string, len(files))
	for _, file := range files {
		text, err := render(own, file, data)
		if err != nil {
			return nil, err
		}
		scripts[strings.TrimSuffix(file, suffix)] = text
	}
	return scripts, nil
}

func render(own fs.FS, name string, data any) (string, error) {
	t, err := template.New(name).Funcs(functions).Option("missingkey=error").ParseFS(templates, "*"+suffix)
	if err == nil {
		t, err = t.ParseFS(own, name)
	}
	if err != nil {
		return "", err
	}
	var text strings.Builder
	if err := t.Execute(&text, data); err != nil {
		return "", err
	}
	return text.String(), nil
}

var functions = template.FuncMap{
	"quote":      quote,
	"quoteAll":   quoteAll,
	"join":       strings.Join,
	"plain":      plain,
	"below":      func(root string, data Data) below { return below{data, root} },
	"isTemplate": isTemplate,
	"dir":        path.Dir,
	"targets":    targets,
	"instances":  instances,
	"globs":      func(units []string) []string { return each(units, instances) },
	"parents":    parents,
	"runtime":    runtime,
	"state":      state,
	"sysusers":   sysusers,
	"sharedDir":  SharedDir,
	"fallback":   fallback,
}

// plainWord needs no quotes in any shell.
var plainWord = regexp.MustCompile(`^[A-Za-z0-9_./@:+-]+$`)

// quote makes one shell word of s, whatever is in it.
func quote(s string) string {
	if plainWord.MatchString(s) {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

func quoteAll(words []string) string { return strings.Join(each(words, quote), " ") }

func each(words []string, f func(string) string) []string {
	out := make([]string, 0, len(words))
	for _, w := range words {
		out = append(out, f(w))
	}
	return out
}

func isTemplate(unit string) bool { return strings.Contains(unit, "@.") }

func plain(units []string) []string {
	return slices.DeleteFunc(slices.Clone(units), isTemplate)
}

func targets(units []string) []string {
	return slices.DeleteFunc(slices.Clone(units), func(u string) bool { return !strings.HasSuffix(u, ".target") })
}

// instances is the glob for a template's instances, and any other unit itself.
// The forms that units may have make it safe without quotes.
func instances(unit string) string { return strings.Replace(unit, "@.", "@*.", 1) }

// shared are directories of the system's own.
var shared = []string{"/", "/etc", "/run", "/var", "/var/lib", "/var/log", "/var/cache"}

// parents are the directories above dirs, deepest first, that are not the
// system's own.
func parents(lists ...[]string) []string {
	var up []string
	for _, dir := range slices.Concat(lists...) {
		for dir = path.Dir(dir); !slices.Contains(shared, dir); dir = path.Dir(dir) {
			up = append(up, dir)
		}
	}
	slices.Sort(up)
	up = slices.Compact(up)
	slices.Reverse(up)
	return up
}

func runtime(dirs []string) []string {
	return slices.DeleteFunc(slices.Clone(dirs), func(d string) bool { return !strings.HasPrefix(d, "/run/") })
}

func state(dirs []string) []string {
	return slices.DeleteFunc(slices.Clone(dirs), func(d string) bool { return strings.HasPrefix(d, "/run/") })
}

// sysusers writes l as sysusers.d has it.
func sysusers(l SysusersLine) string {
	field := func(s string) string {
		if s == "" {
			return "-"
		}
		if strings.ContainsAny(s, " \t") {
			return `"` + s + `"`
		}
		return s
	}
	return strings.Join(each([]string{l.Type, l.Name, l.ID, l.Gecos, l.Home, l.Shell}, field), " ")
}

// fallback makes with shadow-utils what l says.
func fallback(l SysusersLine) string {
	name, id := quote(l.Name), ""
	if l.ID != "" && l.ID != "-" {
		id = quote(l.ID) + " "
	}
	option := func(o, value string) string {
		if value == "" || value == "-" {
			return ""
		}
		return o + " " + quote(value) + " "
	}
	if l.Type == "g" {
		return "groupadd -r -f " + option("-g", strings.TrimSpace(id)) + name + " || :"
	}
	return strings.Join([]string{
		"if ! id -u " + name + " >/dev/null 2>&1; then",
		"  groupadd -r -f " + option("-g", strings.TrimSpace(id)) + name + " || :",
		"  useradd -r -M -g " + name + " " + option("-u", strings.TrimSpace(id)) +
			option("-c", l.Gecos) + option("-d", l.Home) + option("-s", l.Shell) + name + " || :",
		"fi",
	}, "\n")
}

var (
	packageName = regexp.MustCompile(`^[a-z0-9][a-z0-9+.-]+$`)
	version     = regexp.MustCompile(`^(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)([-~+][A-Za-z0-9.~+-]+)?$`)
	unitFile    = regexp.MustCompile(`^[A-Za-z0-9:_.-]+@?\.(service|socket|target|timer|path|mount)$`)
	unitGlob    = regexp.MustCompile(`^[A-Za-z0-9:_.-]+(@\*)?\.(service|socket|target|timer|path|mount)$`)
	pluginFile  = regexp.MustCompile(`^(/usr/libexec/spire/plugins/[a-z0-9-]+)?$`)
	pluginHost  = regexp.MustCompile(`^(spire-agent|spire-server)?$`)
	stateName   = regexp.MustCompile(`^[a-z]*$`)
	userName    = regexp.MustCompile(`^[a-z_][a-z0-9_-]*$`)
	userID      = regexp.MustCompile(`^(-|[0-9]+)?$`)
	configFile  = regexp.MustCompile(`^/etc(/[A-Za-z0-9_+-][A-Za-z0-9_.+-]*)+$`)
	directory   = regexp.MustCompile(`^/(run|var/lib|var/log|var/cache)(/[A-Za-z0-9_+-][A-Za-z0-9_.+-]*)+$`)
)

// validate fails closed: these names end in scripts that root runs.
func (d Data) validate() error {
	var problems []error
	check := func(what, value string, form *regexp.Regexp) {
		if !form.MatchString(value) {
			problems = append(problems, fmt.Errorf("%s %q is not of the form %s", what, value, form))
		}
	}
	checkAll := func(what string, values []string, form *regexp.Regexp) {
		for _, v := range values {
			check(what, v, form)
		}
	}
	check("package name", d.Name, packageName)
	check("version", d.Version, version)
	checkAll("unit", d.Units, unitFile)
	checkAll("shared unit", d.Shared, unitFile)
	checkAll("service to restart", d.Services, unitGlob)
	checkAll("service for OpenRC", d.Inits, packageName)
	checkAll("configuration file", d.Config, configFile)
	check("plugin", d.Plugin, pluginFile)
	check("host of the plugin", d.Host, pluginHost)
	check("folder of the state", d.State, stateName)
	checkAll("directory to purge", d.Purge, directory)
	checkAll("directory to keep", d.Keep, directory)
	for _, l := range d.SysusersLines {
		if err := l.validate(check); err != nil {
			problems = append(problems, err)
		}
	}
	if (d.Plugin == "") != (d.Host == "") {
		problems = append(problems, errors.New("a plugin and the package that runs it come together or not at all"))
	}
	if d.Sysusers != (len(d.SysusersLines) > 0) {
		problems = append(problems, errors.New("a sysusers.d file and its lines come together or not at all"))
	}
	return errors.Join(problems...)
}

func (l SysusersLine) validate(check func(what, value string, form *regexp.Regexp)) error {
	check("user", l.Name, userName)
	check("user number", l.ID, userID)
	if l.Type != "u" && l.Type != "g" {
		return fmt.Errorf("sysusers.d line of %q has type %q: only u and g are known", l.Name, l.Type)
	}
	if strings.ContainsAny(l.Gecos+l.Home+l.Shell, "\"'\\%\n\r") {
		return fmt.Errorf("sysusers.d line of %q has a quote, backslash, percent sign or line end", l.Name)
	}
	return nil
}
