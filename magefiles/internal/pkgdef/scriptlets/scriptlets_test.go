package scriptlets

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/golden"
)

// steps are those of SPIRE.
var steps = Steps{
	Rule: []string{
		"SPIRE's servers are upgraded one minor version a step, and agents are at most",
		"one minor older than their server. Say so when a step is left out; never stop.",
	},
	Advice: []string{
		"SPIRE supports one minor version a step, servers before agents; go back and",
		"take the steps between, unless you know that none of them matters to you.",
		"https://github.com/spiffe/spire/blob/main/doc/upgrading.md",
	},
}

func everything() Data {
	return Data{
		Name: "spire-server", Version: "1.13.3", Steps: steps,
		Sysusers: true, Tmpfiles: true,
		SysusersLines: []SysusersLine{{"u", "spire-server", "-", "SPIRE Server", "/var/lib/spire/server", "/usr/sbin/nologin"}},
		Units:         []string{"spire-server.service", "spire-server.target", "spire-server@.service"},
		Services:      []string{"spire-server.service", "spire-server@*.service"},
		State:         "server",
		AppArmor:      true,
		Purge:         []string{"/run/spire/server", "/var/log/spire/server"},
		Keep:          []string{"/var/lib/spire/server"},
		Config:        []string{"/etc/spire/server/server.conf"},
	}
}

func rendered(t *testing.T, format string, data Data) map[string]string {
	t.Helper()
	scripts, err := Render(Templates(format), data)
	if err != nil {
		t.Fatal(err)
	}
	return scripts
}

var scriptNames = map[string][]string{
	"deb": {"postinst", "postrm", "prerm"},
	"rpm": {"post", "postun", "pre", "preun"},
}

func TestGolden(t *testing.T) {
	for format, names := range scriptNames {
		scripts := rendered(t, format, everything())
		if got := sortedKeys(scripts); !slices.Equal(got, names) {
			t.Errorf("%s: scripts %v, want %v", format, got, names)
		}
		for name, text := range scripts {
			golden.Check(t, format+"/"+name+".golden", text)
		}
	}
}

func sortedKeys(m map[string]string) []string {
	var keys []string
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

func TestBadData(t *testing.T) {
	for name, change := range map[string]func(*Data){
		"package name":       func(d *Data) { d.Name = "spire;id" },
		"version":            func(d *Data) { d.Version = "1.13" },
		"unit":               func(d *Data) { d.Units = []string{"../x.service"} },
		"service to restart": func(d *Data) { d.Services = []string{"x@*.service; id"} },
		"directory to purge": func(d *Data) { d.Purge = []string{"/var/lib/../../etc"} },
		"configuration file": func(d *Data) { d.Config = []string{"/etc/../root/x"} },
		"directory to keep":  func(d *Data) { d.Keep = []string{"/"} },
		"user":               func(d *Data) { d.SysusersLines[0].Name = "Root!" },
		"type":               func(d *Data) { d.SysusersLines[0].Type = "u!" },
		"quote":              func(d *Data) { d.SysusersLines[0].Gecos = `a"b` },
		"come together":      func(d *Data) { d.Sysusers = false },
		"plugin":             func(d *Data) { d.Plugin, d.Host = "/usr/libexec/spire/plugins/../x", "spire-agent" },
		"host of the plugin": func(d *Data) { d.Plugin, d.Host = pluginProgram, "cron" },
		"a plugin and":       func(d *Data) { d.Plugin = pluginProgram },
	} {
		data := everything()
		change(&data)
		if _, err := Render(Templates("deb"), data); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("bad %s: error %v", name, err)
		}
	}
	for _, format := range []string{"apk", "testdata", "*"} {
		if _, err := Render(Templates(format), everything()); err == nil {
			t.Errorf("format %q is not an error", format)
		}
	}
}

// A spec file copies the rpm scripts, and rpm expands percent signs in it.
func TestNoPercentSignInRPM(t *testing.T) {
	for _, data := range []Data{everything(), plugin()} {
		for name, text := range rendered(t, "rpm", data) {
			if strings.Contains(text, "%") {
				t.Errorf("%%%s has a percent sign:\n%s", name, text)
			}
		}
	}
}

func TestQuote(t *testing.T) {
	for in, want := range map[string]string{"a-b.c@d": "a-b.c@d", "": "''", "x@*.service": "'x@*.service'", "it's": `'it'\''s'`, "~/$x": `'~/$x'`} {
		if got := quote(in); got != want {
			t.Errorf("quote(%q) = %s, want %s", in, got, want)
		}
	}
}

func TestShellcheck(t *testing.T) {
	tool, err := exec.LookPath("shellcheck")
	if err != nil {
		t.Skip("shellcheck is not installed: the scriptlets were not linted")
	}
	for _, data := range variants() {
		for format := range scriptNames {
			for name, text := range rendered(t, format, data) {
				cmd := exec.Command(tool, "-s", "dash", "-")
				cmd.Stdin = strings.NewReader(text)
				if out, err := cmd.CombinedOutput(); err != nil {
					t.Errorf("%s %s of %s: %v\n%s", format, name, data.Name, err, out)
				}
			}
		}
	}
}

// variants are packages with everything, something and nothing.
func variants() []Data {
	group := everything()
	group.SysusersLines = append(group.SysusersLines, SysusersLine{Type: "g", Name: "spire", ID: "977"})
	oidc := Data{
		Name: "spiffe-oidc-discovery-provider", Version: "1.13.3", Steps: steps, Sysusers: true,
		SysusersLines: []SysusersLine{{"u", "spiffe-oidc", "", "SPIFFE OIDC", "/", "/usr/sbin/nologin"}},
		Units:         []string{"spiffe-oidc-discovery-provider.service"},
		Services:      []string{"spiffe-oidc-discovery-provider.service"},
		Purge:         []string{"/var/lib/spire/oidc-discovery-provider"},
	}
	return []Data{everything(), group, oidc, moving(), {Name: "spire-archive-keyring", Version: "1.13.3"}, plugin()}
}

// plugin is a package whose program the agent runs.
func plugin() Data {
	return Data{Name: "spire-agent-nodeattestor-tpm", Version: "1.13.3", Plugin: pluginProgram, Host: "spire-agent"}
}

const pluginProgram = "/usr/libexec/spire/plugins/agent-nodeattestor-tpm"

// moving is a package that takes over from another packager's.
func moving() Data {
	return Data{Name: "spire-agent", Version: "1.13.3", Steps: steps, Units: []string{"spire-agent@.service"}, Shared: []string{"spire.target"}, TPM: true}
}

// A host is a root folder in which scripts run: every absolute path in them is
// moved below it, and PATH holds nothing but stubs, which note how they were
// called, and links to the few real tools that the scripts need. So no test can
// touch the machine it runs on.
type host struct {
	t     *testing.T
	shell []string
	root  string
	env   []string
}

// shells are those that /bin/sh is somewhere.
var shells = map[string][]string{"dash": {"dash"}, "bash": {"bash", "--posix"}}

// onEachShell runs test with every shell there is.
func onEachShell(t *testing.T, test func(t *testing.T, h *host)) {
	for name, command := range shells {
		t.Run(name, func(t *testing.T) {
			program, err := exec.LookPath(command[0])
			if err != nil {
				t.Skipf("%s is not installed: the scriptlets were not run by it", command[0])
			}
			h := &host{t: t, shell: append([]string{program}, command[1:]...), root: t.TempDir()}
			h.install()
			test(t, h)
		})
	}
}

var stubs = map[string]string{
	"systemd-sysusers":   `case "$*" in *" -") sed 's/^/  stdin: /' >>"$LOG";; esac; exit ${FAIL:-0}`,
	"systemd-tmpfiles":   `exit ${FAIL:-0}`,
	"systemctl":          `case "$1" in list-units) shift 5; for unit; do echo "$unit loaded active running Unit"; done | sed 's/@[*]/@main/';; esac; exit ${FAIL:-0}`,
	"deb-systemd-invoke": `exit ${FAIL:-0}`,
	"deb-systemd-helper": `case "$*" in debian-installed*) exit ${INSTALLED:-1};; *was-enabled*) exit ${ENABLED:-1};; esac; exit ${FAIL:-0}`,
	"groupadd":           `exit ${FAIL:-0}`,
	"useradd":            `exit ${FAIL:-0}`,
	"id":                 `exit ${NOUSER:-0}`,
}

func (h *host) install() {
	h.dir("bin")
	for name, body := range stubs {
		h.file("bin/"+name, "#!/bin/sh\necho \""+name+" $*\" >>\"$LOG\"\n"+body+"\n")
	}
	for _, tool := range []string{"cat", "chmod", "cp", "install", "ls", "mkdir", "mv", "readlink", "rm", "rmdir", "sed", "sort"} {
		program, err := exec.LookPath(tool)
		if err == nil {
			err = os.Symlink(program, h.path("bin/"+tool))
		}
		if err != nil {
			h.t.Fatal(err)
		}
	}
}

func (h *host) path(name string) string { return filepath.Join(h.root, name) }

func (h *host) dir(names ...string) {
	h.t.Helper()
	for _, name := range names {
		if err := os.MkdirAll(h.path(name), 0o755); err != nil {
			h.t.Fatal(err)
		}
	}
}

func (h *host) file(name, content string) {
	h.t.Helper()
	h.dir(filepath.Dir(name))
	if err := os.WriteFile(h.path(name), []byte(content), 0o755); err != nil {
		h.t.Fatal(err)
	}
}

func (h *host) link(target, name string) {
	h.t.Helper()
	h.dir(filepath.Dir(name))
	if err := os.Symlink(target, h.path(name)); err != nil {
		h.t.Fatal(err)
	}
}

func (h *host) has(name string) bool {
	_, err := os.Lstat(h.path(name))
	return err == nil
}

func (h *host) setenv(vars ...string) { h.env = append(h.env, vars...) }

var absolute = regexp.MustCompile(`(^|[^A-Za-z0-9_./-])/(run|etc|var|usr|lib|proc)/`)

// confined moves the script's absolute paths below the root. What a link says is
// compared, not opened, so the two places of unit files stay.
func (h *host) confined(script string) string {
	keep := strings.NewReplacer("/lib/systemd/system/* |", "\x00", "/usr\x00", "\x01", "/usr/lib/systemd/system/*)", "\x02")
	back := strings.NewReplacer("\x00", "/lib/systemd/system/* |", "\x02", "/usr/lib/systemd/system/*)")
	return back.Replace(absolute.ReplaceAllString(keep.Replace(script), "${1}"+h.root+"/$2/"))
}

// run gives the calls that the script made, what it said, and its exit status.
func (h *host) run(script string, args ...string) (calls, said string, status int) {
	h.t.Helper()
	return h.runAsIs(h.confined(script), args...)
}

func (h *host) runAsIs(script string, args ...string) (calls, said string, status int) {
	h.t.Helper()
	h.file("script", script)
	h.file("log", "")
	cmd := exec.Command(h.shell[0], append(append(h.shell[1:], h.path("script")), args...)...)
	cmd.Env = append([]string{"PATH=" + h.path("bin"), "LOG=" + h.path("log")}, h.env...)
	cmd.Dir = h.root
	out, err := cmd.CombinedOutput()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		h.t.Fatal(err)
	}
	log, err := os.ReadFile(h.path("log"))
	if err != nil {
		h.t.Fatal(err)
	}
	clean := func(b []byte) string { return strings.ReplaceAll(strings.TrimSpace(string(b)), h.root, "") }
	return clean(log), clean(out), cmd.ProcessState.ExitCode()
}

// does runs the script three times, each of which must succeed, be silent and
// make exactly these calls.
func (h *host) does(script string, args []string, want ...string) {
	h.t.Helper()
	for range 3 {
		calls, said, status := h.run(script, args...)
		if status != 0 || said != "" {
			h.t.Errorf("%q: status %d, said %q", args, status, said)
		}
		if diff := cmp.Diff(strings.Join(want, "\n"), calls); diff != "" {
			h.t.Errorf("%q: calls (-want +got):\n%s", args, diff)
		}
	}
}

func words(s string) []string { return strings.Fields(s) }

var (
	debUsers = []string{"systemd-sysusers spire-server.conf", "systemd-tmpfiles --create spire-server.conf"}
	debState = []string{
		"deb-systemd-helper debian-installed spire-server.service", "deb-systemd-helper update-state spire-server.service",
		"deb-systemd-helper debian-installed spire-server.target", "deb-systemd-helper update-state spire-server.target",
	}
	debReload  = "systemctl --system daemon-reload"
	debLoaded  = "systemctl list-units --all --full --plain --no-legend spire-server.service spire-server@*.service"
	debRestart = debLoaded + "\ndeb-systemd-invoke try-restart spire-server.service spire-server@main.service"
	debStop    = debLoaded + "\ndeb-systemd-invoke stop spire-server.service spire-server@main.service"
	debPurge   = "deb-systemd-helper purge spire-server.service\ndeb-systemd-helper purge spire-server.target"
)

// debForms are all the ways in which dpkg calls maintainer scripts (Debian Policy
// 6.5), and what is called with systemd running and without.
var debForms = []struct {
	script, args     string
	running, without []string
}{
	{"postinst", "configure", slices.Concat(debUsers, debState, []string{debReload}), slices.Concat(debUsers, debState)},
	{"postinst", "configure 1.13.0-1", slices.Concat(debUsers, debState, []string{debReload, debRestart}), slices.Concat(debUsers, debState)},
	{"postinst", "abort-upgrade 1.13.4-1", slices.Concat(debUsers, debState, []string{debReload, debRestart}), slices.Concat(debUsers, debState)},
	{"postinst", "abort-remove", slices.Concat(debUsers, debState, []string{debReload}), slices.Concat(debUsers, debState)},
	{"postinst", "abort-remove in-favour other 2.0", slices.Concat(debUsers, debState, []string{debReload, debRestart}), slices.Concat(debUsers, debState)},
	{"postinst", "abort-deconfigure in-favour other 2.0 removing third 3.0", slices.Concat(debUsers, debState, []string{debReload, debRestart}), slices.Concat(debUsers, debState)},
	{"postinst", "triggered /usr/share/x", nil, nil},
	{"prerm", "remove", []string{debStop}, nil},
	{"prerm", "remove in-favour other 2.0", []string{debStop}, nil},
	{"prerm", "deconfigure in-favour other 2.0 removing third 3.0", []string{debStop}, nil},
	{"prerm", "upgrade 1.13.4-1", nil, nil},
	{"prerm", "failed-upgrade 1.13.0-1 1.13.3-1", nil, nil},
	{"postrm", "remove", []string{debReload}, nil},
	{"postrm", "purge", []string{debPurge, debReload}, []string{debPurge}},
	{"postrm", "upgrade 1.13.4-1", nil, nil},
	{"postrm", "failed-upgrade 1.13.0-1 1.13.3-1", nil, nil},
	{"postrm", "abort-install", nil, nil},
	{"postrm", "abort-install 1.13.0-1 1.13.3-1", nil, nil},
	{"postrm", "abort-upgrade 1.13.0-1 1.13.3-1", nil, nil},
	{"postrm", "disappear other 2.0", nil, nil},
}

func TestDebForms(t *testing.T) {
	scripts := rendered(t, "deb", everything())
	onEachShell(t, func(_ *testing.T, h *host) {
		for _, form := range debForms {
			h.does(scripts[form.script], words(form.args), form.without...)
		}
		h.dir("run/systemd/system")
		for _, form := range debForms {
			h.does(scripts[form.script], words(form.args), form.running...)
		}
	})
}

func TestDebUnknownArgument(t *testing.T) {
	scripts := rendered(t, "deb", everything())
	onEachShell(t, func(t *testing.T, h *host) {
		h.dir("run/systemd/system")
		for name, script := range scripts {
			for _, args := range [][]string{{}, {""}, {"frobnicate"}, {"Configure"}} {
				calls, said, status := h.run(script, args...)
				if status == 0 || calls != "" || !strings.Contains(said, "unknown argument") {
					t.Errorf("%s %q: status %d, calls %q, said %q", name, args, status, calls, said)
				}
			}
		}
	})
}

// With DPKG_ROOT the scripts belong to another root than the running system's:
// nothing outside it may be asked or changed.
func TestDebForeignRoot(t *testing.T) {
	scripts := rendered(t, "deb", everything())
	onEachShell(t, func(t *testing.T, h *host) {
		h.file("chroot/var/lib/spire/server/keys.json", "")
		h.file("chroot/var/log/spire/server/server.log", "")
		h.setenv("DPKG_ROOT=" + h.path("chroot"))
		for _, form := range debForms {
			want := strings.NewReplacer("sysusers ", "sysusers --root=/chroot ", "tmpfiles ", "tmpfiles --root=/chroot ").
				Replace(strings.Join(form.without, "\n"))
			calls, _, status := h.runAsIs(scripts[form.script], words(form.args)...)
			if diff := cmp.Diff(want, calls); status != 0 || diff != "" {
				t.Errorf("%s %s: status %d, calls (-want +got):\n%s", form.script, form.args, status, diff)
			}
		}
		if !h.has("chroot/var/lib/spire/server/keys.json") || h.has("chroot/var/log/spire") {
			t.Error("the purge did not keep to the foreign root's own directories")
		}
	})
}

func TestDebRenewsOnlyWhatWasEnabled(t *testing.T) {
	script := rendered(t, "deb", everything())["postinst"]
	onEachShell(t, func(t *testing.T, h *host) {
		h.setenv("INSTALLED=0", "ENABLED=0")
		calls, _, _ := h.run(script, "configure", "1.13.0-1")
		if !strings.Contains(calls, "deb-systemd-helper enable spire-server.service") {
			t.Errorf("an enabled unit is not enabled again:\n%s", calls)
		}
		if strings.Contains(calls, "deb-systemd-helper enable spire-server@") {
			t.Errorf("a template is enabled:\n%s", calls)
		}
		h.setenv("ENABLED=1")
		calls, _, _ = h.run(script, "configure", "1.13.0-1")
		if strings.Contains(calls, "helper enable") {
			t.Errorf("a disabled unit is enabled:\n%s", calls)
		}
	})
}

func TestDebPurge(t *testing.T) {
	script := rendered(t, "deb", everything())["postrm"]
	onEachShell(t, func(t *testing.T, h *host) {
		wants := "etc/systemd/system/multi-user.target.wants/"
		h.file("var/lib/spire/server/main/keys.json", "")
		h.file("var/lib/spire/agent/keys.json", "")
		h.file("var/log/spire/server/server.log", "")
		h.dir("run/spire/server/sockets/main")
		h.link("/usr/lib/systemd/system/spire-server@.service", wants+"spire-server@main.service")
		h.link("/lib/systemd/system/spire-server.service", wants+"spire-server.service")
		h.link("/usr/lib/systemd/system/spire-server.target", "etc/systemd/system/x.target.requires/spire-server.target")
		h.link("/usr/lib/systemd/system/spire-server@.service", "etc/systemd/system/spire-server.target.wants/spire-server@main.service")
		h.link("/etc/systemd/system/spire-server@.service", wants+"spire-server@own.service")
		h.link("/usr/lib/systemd/system/spire-server-other.service", wants+"spire-server-other.service")

		if _, said, status := h.run(script, "remove"); status != 0 || said != "" || !h.has(wants+"spire-server@main.service") || h.has("run/spire") || !h.has("var/log/spire") {
			t.Errorf("remove: status %d, said %q, or it removed what only a purge may", status, said)
		}
		for range 3 {
			_, said, status := h.run(script, "purge")
			if status != 0 || !strings.Contains(said, "/var/lib/spire/server is kept") || !strings.Contains(said, "rm -rf /var/lib/spire/server") {
				t.Errorf("purge: status %d, said %q", status, said)
			}
			for name, want := range map[string]bool{
				"var/lib/spire/server/main/keys.json":          true,
				"var/lib/spire/agent/keys.json":                true,
				"etc/systemd/system/spire-server.target.wants": false,
				"var/log/spire":                     false,
				"var/log":                           true,
				"run/spire":                         false,
				"run":                               true,
				wants + "spire-server@main.service": false,
				wants + "spire-server.service":      false,
				"etc/systemd/system/x.target.requires/spire-server.target": false,
				wants + "spire-server@own.service":                         true,
				wants + "spire-server-other.service":                       true,
			} {
				if h.has(name) != want {
					t.Errorf("after purge: %s there is %t, want %t", name, !want, want)
				}
			}
		}
		for _, name := range []string{"var/lib/spire/server", "var/lib/spire/agent"} {
			if err := os.RemoveAll(h.path(name)); err != nil {
				t.Fatal(err)
			}
		}
		h.dir("var/lib/spire/server")
		if _, said, status := h.run(script, "purge"); status != 0 || said != "" || h.has("var/lib/spire") {
			t.Errorf("purge of an empty state: status %d, said %q, or the directory is left", status, said)
		}
	})
}

// Only where another version is in place already, the state may have to move.
func TestStateSettles(t *testing.T) {
	for format, calls := range map[string]map[string]string{
		"deb": {"postrm upgrade 1.12.2-1": "state server settle", "postrm failed-upgrade 1.12.2-1": "", "postrm abort-upgrade 1.12.2-1": ""},
		"rpm": {"preun 1": "state server settle"},
	} {
		scripts := rendered(t, format, everything())
		former := everything()
		former.State = ""
		formers := rendered(t, format, former)
		onEachShell(t, func(t *testing.T, h *host) {
			h.file("usr/libexec/spire-server/state", "#!/bin/sh\necho \"state $*\" >>\"$LOG\"\nexit 1\n")
			for call, want := range calls {
				args := words(call)
				if got, said, status := h.run(scripts[args[0]], args[1:]...); status != 0 || said != "" || got != want {
					t.Errorf("%s: calls %q, want %q; status %d, said %q", call, got, want, status, said)
				}
				if got, _, status := h.run(formers[args[0]], args[1:]...); status != 0 || got != "" {
					t.Errorf("%s without state: calls %q, status %d", call, got, status)
				}
			}
		})
	}
}

func TestDebFailures(t *testing.T) {
	scripts := rendered(t, "deb", everything())
	onEachShell(t, func(t *testing.T, h *host) {
		h.dir("run/systemd/system")
		h.setenv("FAIL=1")
		if _, _, status := h.run(scripts["postinst"], "configure"); status == 0 {
			t.Error("postinst goes on without the user it needs")
		}
		for _, form := range debForms {
			if form.script == "postinst" {
				continue
			}
			if _, said, status := h.run(scripts[form.script], words(form.args)...); status != 0 {
				t.Errorf("%s %s: status %d when systemd fails: %s", form.script, form.args, status, said)
			}
		}
	})
}

var (
	rpmUsers  = []string{"systemd-sysusers --replace=/usr/lib/sysusers.d/spire-server.conf -", `  stdin: u spire-server - "SPIRE Server" /var/lib/spire/server /usr/sbin/nologin`, "id -u spire-server"}
	rpmPreset = []string{"systemd-tmpfiles --create spire-server.conf", "systemctl --no-reload preset spire-server.service", "systemctl --no-reload preset spire-server.target", "systemctl --no-reload preset spire-server@.service"}
	rpmStop   = []string{"systemctl list-units --all --full --plain --no-legend spire-server.service spire-server.target spire-server@*.service", "systemctl stop spire-server.service spire-server.target spire-server@main.service"}
	rpmAgain  = []string{"systemctl daemon-reload", debLoaded, "systemctl try-restart spire-server.service spire-server@main.service"}
)

// rpmForms: the argument is the number of this package's versions there will be.
var rpmForms = []struct {
	script, arg      string
	running, without []string
}{
	{"pre", "1", rpmUsers, rpmUsers},
	{"pre", "2", rpmUsers, rpmUsers},
	{"post", "1", rpmPreset, rpmPreset},
	{"post", "2", slices.Concat(rpmPreset[:1], rpmAgain), rpmPreset[:1]},
	{"preun", "0", rpmStop, nil},
	{"preun", "1", nil, nil},
	{"postun", "0", rpmAgain[:1], nil},
	{"postun", "1", rpmAgain[:1], nil},
	{"postun", "2", rpmAgain[:1], nil},
}

func TestRPMForms(t *testing.T) {
	scripts := rendered(t, "rpm", everything())
	onEachShell(t, func(_ *testing.T, h *host) {
		for _, form := range rpmForms {
			h.does(scripts[form.script], []string{form.arg}, form.without...)
		}
		h.dir("run/systemd/system")
		for _, form := range rpmForms {
			h.does(scripts[form.script], []string{form.arg}, form.running...)
		}
		for _, name := range scriptNames["rpm"] {
			if _, _, status := h.run(scripts[name]); status != 0 {
				h.t.Errorf("%s without an argument: status %d", name, status)
			}
		}
	})
}

func TestRPMNeverFails(t *testing.T) {
	scripts := rendered(t, "rpm", everything())
	onEachShell(t, func(t *testing.T, h *host) {
		h.dir("run/systemd/system")
		h.setenv("FAIL=1", "NOUSER=1")
		h.file("usr/bin/spire-server", "#!/bin/sh\nkill -9 $$\n")
		for _, form := range rpmForms {
			if _, said, status := h.run(scripts[form.script], form.arg); status != 0 {
				t.Errorf("%s %s: status %d: %s", form.script, form.arg, status, said)
			}
		}
		for name := range stubs {
			if err := os.Remove(h.path("bin/" + name)); err != nil {
				t.Fatal(err)
			}
		}
		for _, form := range rpmForms {
			if _, said, status := h.run(scripts[form.script], form.arg); status != 0 {
				t.Errorf("%s %s with no tools: status %d: %s", form.script, form.arg, status, said)
			}
		}
	})
}

func TestRPMMakesTheMissingUser(t *testing.T) {
	script := rendered(t, "rpm", everything())["pre"]
	onEachShell(t, func(t *testing.T, h *host) {
		h.setenv("NOUSER=1")
		calls, _, _ := h.run(script, "1")
		for _, want := range []string{"groupadd -r -f spire-server", "useradd -r -M -g spire-server -c SPIRE Server -d /var/lib/spire/server -s /usr/sbin/nologin spire-server"} {
			if !strings.Contains(calls, want+"\n") && !strings.HasSuffix(calls, want) {
				t.Errorf("no call %q in:\n%s", want, calls)
			}
		}
	})
}

func TestRPMNoRestartOnSUSE(t *testing.T) {
	script := rendered(t, "rpm", everything())["post"]
	onEachShell(t, func(t *testing.T, h *host) {
		h.dir("run/systemd/system")
		for config, restart := range map[string]bool{
			"DISABLE_RESTART_ON_UPDATE=\"yes\"\n": false,
			"DISABLE_RESTART_ON_UPDATE=1\n":       false,
			"DISABLE_RESTART_ON_UPDATE=\"no\"\n":  true,
			"DISABLE_RESTART_ON_UPDATE=\n":        true,
			"if broken; then\n":                   true,
		} {
			h.file("etc/sysconfig/services", config)
			calls, said, status := h.run(script, "2")
			if got := strings.Contains(calls, "try-restart"); got != restart || status != 0 {
				t.Errorf("%q: restart %t, want %t; status %d, said %q", config, got, restart, status, said)
			}
		}
	})
}

func TestRPMErase(t *testing.T) {
	script := rendered(t, "rpm", everything())["postun"]
	onEachShell(t, func(t *testing.T, h *host) {
		h.file("var/lib/spire/server/keys.json", "")
		h.file("var/log/spire/server/server.log", "")
		h.dir("run/spire/server/private")
		h.does(script, []string{"1"})
		if !h.has("run/spire/server/private") {
			t.Error("an upgrade removed a running unit's directory")
		}
		h.does(script, []string{"0"})
		if h.has("run/spire") || !h.has("var/lib/spire/server/keys.json") || !h.has("var/log/spire/server/server.log") {
			t.Error("erasing removed state, or left /run/spire")
		}
	})
}

// What was there before the package under names of its own is the admin's: it is
// kept, and said so once.
func TestAdminsOwn(t *testing.T) {
	const (
		unit     = "etc/systemd/system/spire-server.service"
		template = "etc/systemd/system/spire-server@.service"
		instance = "usr/local/lib/systemd/system/spire-server@main.service"
		wants    = "etc/systemd/system/multi-user.target.wants/"
		program  = "usr/local/bin/spire-server"
	)
	for name, c := range map[string]struct {
		files, links map[string]string
		kept         []string // what the first installation names
		acted        []string // what is restarted and stopped
		preset       string   // what an rpm's first installation presets
	}{
		"a unit": {
			files: map[string]string{unit: "ExecStart=/opt/spire/bin/spire-server run\n", program: "#!"}, links: map[string]string{"spire-server.service": "/" + unit},
			kept: []string{unit, program}, acted: words("spire-server@main.service"), preset: "spire-server.target spire-server@.service",
		},
		"a template": {
			files: map[string]string{template: "ExecStart=/usr/local/bin/spire-server run\n"}, links: map[string]string{"spire-server@main.service": "/" + template},
			kept: []string{template}, acted: words("spire-server.service"), preset: "spire-server.service spire-server.target",
		},
		"an instance": {
			files: map[string]string{instance: "ExecStart=/opt/spire/bin/spire-server run\n"},
			kept:  []string{instance}, acted: words("spire-server.service"), preset: "spire-server.service spire-server.target",
		},
		"a copy of the package's": {
			files: map[string]string{unit: "ExecStart=/usr/bin/spire-server run\n"},
			kept:  []string{unit}, acted: words("spire-server.service spire-server@main.service"), preset: "spire-server.target spire-server@.service",
		},
		"a mask": {
			links: map[string]string{"../spire-server.service": "/dev/null"},
			acted: words("spire-server.service spire-server@main.service"), preset: "spire-server.target spire-server@.service",
		},
		"nothing": {
			acted: words("spire-server.service spire-server@main.service"), preset: "spire-server.service spire-server.target spire-server@.service",
		},
	} {
		t.Run(name, func(t *testing.T) {
			onEachShell(t, func(t *testing.T, h *host) {
				h.dir("run/systemd/system")
				for file, content := range c.files {
					h.file(file, strings.ReplaceAll(content, "/usr/bin/", h.path("usr/bin")+"/")) // as confined has it
				}
				for link, target := range c.links {
					h.link(target, wants+link)
				}
				for _, script := range []struct {
					format, name string
					args         []string
					verb         string
					says         bool
				}{
					{"deb", "postinst", []string{"configure"}, "", true},
					{"deb", "postinst", []string{"configure", "1.13.2-1"}, "try-restart ", false},
					{"deb", "prerm", []string{"remove"}, "stop ", false},
					{"rpm", "post", []string{"1"}, "", true},
					{"rpm", "post", []string{"2"}, "try-restart ", false},
					{"rpm", "preun", []string{"0"}, "stop ", false},
				} {
					calls, said, status := h.run(rendered(t, script.format, everything())[script.name], script.args...)
					var want []string
					if script.says {
						for _, file := range c.kept {
							want = append(want, "spire-server: /"+file+" is kept, and goes before what this package brings")
						}
					}
					if diff := cmp.Diff(strings.Join(want, "\n"), said); diff != "" || status != 0 {
						t.Errorf("%s %q: status %d, said (-want +got):\n%s", script.name, script.args, status, diff)
					}
					acted := slices.DeleteFunc(words(after(calls, script.verb)), func(unit string) bool { return strings.HasSuffix(unit, ".target") })
					if script.verb != "" && !slices.Equal(acted, c.acted) {
						t.Errorf("%s %q: expected %s%q, got calls:\n%s", script.name, script.args, script.verb, c.acted, calls)
					}
					if got := after(calls, "preset "); script.format == "rpm" && script.says && got != c.preset {
						t.Errorf("preset %q, want %q", got, c.preset)
					}
				}
				for link := range c.links {
					if !h.has(wants + link) {
						t.Errorf("%s is gone", link)
					}
				}
			})
		})
	}
}

// after is what follows the word in each line that has it.
func after(lines, word string) string {
	var rest []string
	for line := range strings.Lines(lines) {
		if _, found, ok := strings.Cut(strings.TrimSpace(line), word); ok {
			rest = append(rest, found)
		}
	}
	return strings.Join(rest, " ")
}

// Erasing disables what is enabled by the package's own units, and nothing else. A
// deb's purge does it, see TestDebPurge.
func TestRPMEraseDisables(t *testing.T) {
	script := rendered(t, "rpm", everything())["preun"]
	onEachShell(t, func(t *testing.T, h *host) {
		wants := "etc/systemd/system/multi-user.target.wants/"
		h.link("/usr/lib/systemd/system/spire-server.service", wants+"spire-server.service")
		h.link("/usr/lib/systemd/system/spire-server@.service", wants+"spire-server@main.service")
		h.link("/etc/systemd/system/spire-server@.service", wants+"spire-server@own.service")
		h.link("/usr/lib/systemd/system/spire-server-other.service", wants+"spire-server-other.service")
		h.does(script, []string{"0"}, "systemctl --no-reload disable spire-server.service", "systemctl --no-reload disable spire-server@main.service")
	})
}

// The mode that an admin gave a configuration is noted before rpm sets its own, and
// set again; in a folder that others may write to it is left alone.
func TestRPMGivesModesBack(t *testing.T) {
	scripts := rendered(t, "rpm", everything())
	onEachShell(t, func(t *testing.T, h *host) {
		const folder, conf = "etc/spire/server", "etc/spire/server/server.conf"
		h.file(conf, "edited\n")
		for _, c := range []struct {
			folder, admins, want os.FileMode
		}{{0o750, 0o640, 0o640}, {0o770, 0o640, 0o644}, {0o757, 0o640, 0o644}, {0o755, 0o600, 0o600}} {
			if os.Geteuid() != 0 {
				c.want = 0o644 // the folder is not root's
			}
			h.chmod(c.folder, folder)
			h.chmod(c.admins, conf)
			h.run(scripts["pre"], "2")
			h.chmod(0o644, conf)       // as rpm does
			h.run(scripts["pre"], "2") // after a run that was killed
			h.run(scripts["post"], "2")
			info, err := os.Stat(h.path(conf))
			if err != nil || info.Mode() != c.want {
				t.Errorf("in a folder of mode %o: mode %o, want %o; %v", c.folder, info.Mode(), c.want, err)
			}
			if content, err := os.ReadFile(h.path(conf)); err != nil || string(content) != "edited\n" {
				t.Errorf("its content is %q, error %v", content, err)
			}
			if h.has(conf + ".rpm-mode") {
				t.Error("the note is left")
			}
		}
		h.run(scripts["postun"], "0")
		if !h.has(conf) {
			t.Error("erasing took the admin's configuration")
		}
		if err := os.Remove(h.path(conf)); err != nil {
			t.Fatal(err)
		}
		h.run(scripts["postun"], "1")
		if !h.has(folder) {
			t.Error("an upgrade took the folder")
		}
		h.run(scripts["postun"], "0")
		if h.has("etc/spire") {
			t.Error("erasing left the empty folders")
		}
	})
}

func (h *host) chmod(mode os.FileMode, name string) {
	h.t.Helper()
	if err := os.Chmod(h.path(name), mode); err != nil {
		h.t.Fatal(err)
	}
}

// jumps are versions before 1.13.3 that came, and whether a step was left out.
var jumps = map[string]bool{
	"1.13.3": false, "1.13.0": false, "1.12.2": false, "1.14.7": false, "1.13.0~rc1": false,
	"1.11.2": true, "1.8.0": true, "1.15.0": true, "0.12.3": true, "2.13.0": true,
}

func TestVersionJump(t *testing.T) {
	postinst := rendered(t, "deb", everything())["postinst"]
	pre := rendered(t, "rpm", everything())["pre"]
	onEachShell(t, func(t *testing.T, h *host) {
		check := func(what, said string, status int, jump bool) {
			if got := strings.Contains(said, "warning: from "); got != jump || status != 0 || (!jump && said != "") {
				t.Errorf("%s: warned %t, want %t; status %d, said %q", what, got, jump, status, said)
			}
		}
		for old, jump := range jumps {
			for _, form := range []string{old, old + "-1", "1:" + old + "-1~bpo12+1"} {
				_, said, status := h.run(postinst, "configure", form)
				check("deb "+form, said, status, jump)
			}
			_, said, status := h.run(postinst, "abort-upgrade", old)
			check("deb abort-upgrade "+old, said, status, false)
			h.file("usr/bin/spire-server", "#!/bin/sh\necho "+old+" >&2\n")
			_, said, status = h.run(pre, "2")
			check("rpm "+old, said, status, jump)
			_, said, status = h.run(pre, "1")
			check("rpm first installation beside "+old, said, status, false)
		}
		for _, odd := range []string{"<unknown>", "x", "1", "1.x.3", "1.09.1", "-1.2", "*", "$(id)", "1.99999999999999999999.0", "dev-abc"} {
			_, said, status := h.run(postinst, "configure", odd)
			if status != 0 {
				t.Errorf("deb %q: status %d, said %q", odd, status, said)
			}
		}
		for _, program := range []string{"exit 1", "echo usage; exit 127", "echo 'version: v1.2'", "echo '* * 1.11.0-dev-unk'"} {
			h.file("usr/bin/spire-server", "#!/bin/sh\n"+program+"\n")
			if _, said, status := h.run(pre, "2"); status != 0 {
				t.Errorf("rpm beside a program that does %q: status %d, said %q", program, status, said)
			}
		}
		h.file("usr/bin/spire-server", "no program of this machine\x00\x01")
		if _, said, status := h.run(pre, "2"); status != 0 || said != "" {
			t.Errorf("rpm beside a program of another machine: status %d, said %q", status, said)
		}
	})
}
