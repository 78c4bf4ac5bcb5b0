package pkgdef

import (
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
