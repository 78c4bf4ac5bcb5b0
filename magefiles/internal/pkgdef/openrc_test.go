package pkgdef

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/golden"
)

// openRC is the layout of a format whose machines have OpenRC.
var openRC = Layout{OpenRC: true, Texts: RPMLayout.Texts}

// The real folders, expanded for a format whose machines have OpenRC: its services in the
// place of systemd's, and nothing of systemd's.
func TestOpenRCPayload(t *testing.T) {
	root, err := filepath.Abs(checkout)
	if err != nil {
		t.Fatal(err)
	}
	packages, err := Load(root)
	if err != nil {
		t.Fatal(err)
	}
	var all strings.Builder
	for _, p := range packages {
		entries := p.Payload(openRC, "BINARY", Docs{Dir: "DOCS"})
		checkPayload(t, p.Name+" for OpenRC", entries)
		for _, entry := range entries {
			if strings.Contains(entry.Path, "/examples/") {
				continue // they show what goes with others, too
			}
			if strings.HasPrefix(entry.Path, "/etc/init.d/") {
				// By that the scriptlets tell it from an admin's own.
				text, err := os.ReadFile(entry.From)
				if err != nil || !strings.Contains(string(text), "\n. /usr/libexec/"+p.Name+"/openrc\n") {
					t.Errorf("%s: %s does not read the package's functions; error %v", p.Name, entry.Path, err)
				}
			}
			if strings.Contains(entry.Path, "systemd") || strings.HasSuffix(entry.Path, ".service") || strings.HasSuffix(entry.Path, "/state") {
				t.Errorf("%s: %s is of systemd", p.Name, entry.Path)
			}
		}
		entries = slices.DeleteFunc(entries, func(e Entry) bool {
			return !slices.ContainsFunc([]string{"/etc/init.d/", "/etc/conf.d/", "/usr/libexec/"}, func(dir string) bool { return strings.HasPrefix(e.Path, dir) })
		})
		all.WriteString(listing(t, root, entries))
	}
	golden.Check(t, "openrc.golden", all.String())
}

// A script for OpenRC is a service, and its settings are configuration; what is neither
// would not be shipped.
func TestOpenRC(t *testing.T) {
	repo := smallRepo()
	repo["units/demo/openrc/demo.initd"], repo["units/demo/openrc/demo.confd"], repo["units/demo/openrc/more.initd"] = "#!/sbin/openrc-run\n", "# none\n", ""
	packages, err := Load(repo.write(t))
	if err != nil || len(packages) != 1 {
		t.Fatalf("%v, error %v", packages, err)
	}
	if got := packages[0].Units.Inits(); !slices.Equal(got, []string{"demo", "more"}) {
		t.Errorf("services %q", got)
	}
	if got := packages[0].Scriptlets(Source{}, "1.13.3").Inits; !slices.Equal(got, []string{"demo", "more"}) {
		t.Errorf("the scriptlets know of %q", got)
	}
	kinds := map[string]Entry{}
	for _, entry := range packages[0].OpenRC {
		kinds[entry.Path] = entry
	}
	for path, want := range map[string]Entry{
		"/etc/init.d/demo": {Kind: File, Mode: 0o755}, "/etc/init.d/more": {Kind: File, Mode: 0o755},
		"/etc/conf.d/demo": {Kind: Conf, Mode: 0o644}, "/usr/libexec/demo/openrc": {Kind: File, Mode: 0o644},
	} {
		if got := kinds[path]; got.Kind != want.Kind || got.Mode != want.Mode {
			t.Errorf("%s is %+v", path, got)
		}
	}
	for _, stray := range []string{"demo.txt", "other.confd"} {
		repo := smallRepo()
		repo["units/demo/openrc/"+stray] = ""
		if _, err := Load(repo.write(t)); err == nil || !strings.Contains(err.Error(), stray) {
			t.Errorf("%s: error %v", stray, err)
		}
	}
}

// The services are laid out as they are on a machine, each with what it reads.
func TestLayOpenRC(t *testing.T) {
	packages, err := Load(checkoutOf(t))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for _, p := range packages {
		if err := p.LayOpenRC(dir); err != nil {
			t.Fatal(err)
		}
		for _, service := range p.Units.Inits() {
			for file, mode := range map[string]os.FileMode{"etc/init.d/" + service: 0o755, "etc/conf.d/" + service: 0o644, "usr/libexec/" + p.Name + "/openrc": 0o644} {
				if info, err := os.Stat(filepath.Join(dir, file)); err != nil || info.Mode() != mode {
					t.Errorf("%s: %v, %v", file, info, err)
				}
			}
		}
	}
}

// functions runs a line with the functions that OpenRC's services have in common, and
// with stand-ins of OpenRC's own. What has failed ends it.
func functions(t *testing.T, line string) string {
	t.Helper()
	command := exec.Command("sh", "-euc", `
checkpath() { echo "checkpath $*"; }
ewarn() { echo "warning: $*"; }
eerror() { echo "error: $*"; }
service_inactive() { [ -e inactive ]; }
mark_service_inactive() { touch inactive; }
printf '#!/bin/sh\necho "$IN_BACKGROUND $*" >started\n' >rc-service
chmod +x rc-service
PATH=$PWD:$PATH
sleep() { :; }
RC_SVCNAME=demo command_user=user:group pidfile=$PWD/pid
. "$0"
`+line, filepath.Join(checkoutOf(t), "packages", "openrc.sh"))
	command.Dir = t.TempDir()
	said, err := command.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, said)
	}
	return string(said)
}

func checkoutOf(t *testing.T) string {
	t.Helper()
	root, err := filepath.Abs(checkout)
	if err != nil {
		t.Fatal(err)
	}
	return root
}

// The folders above a service's are root's; those that are there are left alone.
func TestOpenRCFolder(t *testing.T) {
	const want = "checkpath --directory --mode 0755 --owner root:root /run/none/of\n" +
		"checkpath --directory --mode 0755 --owner root:root /run/none/of/these\n" +
		"checkpath --directory --mode 0700 --owner user:group /run/none/of/these/leaf\n"
	if got := functions(t, "folder /run/none/of/these/leaf 0700"); got != "checkpath --directory --mode 0755 --owner root:root /run/none\n"+want {
		t.Errorf("it says\n%s", got)
	}
	if got := functions(t, `folder "$PWD/leaf" 0750`); strings.Count(got, "\n") != 1 || !strings.Contains(got, "--mode 0750 --owner user:group") {
		t.Errorf("of a folder below what is there it says\n%s", got)
	}
}

// An environment file is read as systemd reads it, and nothing in it is run.
func TestOpenRCEnvironment(t *testing.T) {
	got := functions(t, `cat >env <<'EOF'
# A comment
; another

PLAIN=a value with spaces
QUOTED="quo'ted"
SINGLE='sin"gle'
SHELL_CODE=$(touch ran) `+"`touch ran`"+` \n
EQUALS=a=b=c
no assignment
2X=digit
A-B=hyphen
EMPTY=
EOF
printf 'LAST=unended' >>env
environment none env
printf '%s|' "$PLAIN" "$QUOTED" "$SINGLE" "$SHELL_CODE" "$EQUALS" "$EMPTY" "$LAST"
[ ! -e ran ]
sh -c 'printf %s "$PLAIN"'`)
	const want = "warning: env: a line that is not NAME=value is left out\nwarning: env: a line that is not NAME=value is left out\nwarning: env: a line that is not NAME=value is left out\n" +
		`a value with spaces|quo'ted|sin"gle|$(touch ran) ` + "`touch ran`" + ` \n|a=b=c||unended|a value with spaces`
	if got != want {
		t.Errorf("it says\n%s\nwant\n%s", got, want)
	}
}

// A service that has no configuration says so, and what cannot be asked is believed when it
// runs for some seconds.
func TestOpenRCWithoutAnswer(t *testing.T) {
	if got, want := functions(t, "configured /none || echo failed; configured /dev/null; echo well"), "error: demo has no configuration: there is no /none\nfailed\nwell\n"; got != want {
		t.Errorf("it says\n%s\nwant\n%s", got, want)
	}
	const child = "service_get_value() { echo $$; }; "
	for line, want := range map[string]string{child + "stays 3": "runs", child + "stays 2": "", "service_get_value() { echo none; }; stays 3 2>/dev/null": ""} {
		if got := functions(t, "if { "+line+"; }; then echo runs; fi"); strings.TrimSpace(got) != want {
			t.Errorf("%s: %q", line, got)
		}
	}
	if got := functions(t, "ebegin() { :; }; eend() { :; }; printf '#!/bin/sh\\necho $*\\n' >supervise-daemon; chmod +x supervise-daemon; reload; reload_signal=HUP; reload"); !strings.Contains(got, "--signal USR1") || !strings.Contains(got, "--signal HUP") {
		t.Errorf("it reloads by\n%s", got)
	}
}

// A start is done when the service answers, has failed when nobody is left to try, and is
// neither where it goes on: then it is started as soon as it answers.
func TestOpenRCReady(t *testing.T) {
	for name, c := range map[string]struct{ line, want string }{
		"at once":         {"ready() { true; }; echo $$ >pid; await_ready; [ ! -e inactive ]", ""},
		"after some time": {"ready() { [ $1 -ge 5 ]; }; echo $$ >pid; await_ready; [ ! -e inactive ]; echo $waited", "5\n"},
		"never, and gone": {"ready() { false; }; await_ready || echo failed; [ ! -e inactive ]", "error: demo has ended\nfailed\n"},
		"later": {"ready_timeout=2; ready() { [ -e now ]; }; echo $$ >pid; await_ready; [ -e inactive ]; touch now; wait; cat started",
			"warning: demo does not answer after 2 seconds, and goes on trying: its log says why\nyes --nodeps demo start\n"},
		"nobody waits any more": {"ready_timeout=2; ready() { false; }; echo $$ >pid; await_ready; rm inactive; wait; [ ! -e started ]",
			"warning: demo does not answer after 2 seconds, and goes on trying: its log says why\n"},
	} {
		if got := functions(t, c.line); got != c.want {
			t.Errorf("%s: it says\n%s\nwant\n%s", name, got, c.want)
		}
	}
}
