package rpm

import (
	"encoding/base64"
	"strings"
	"testing"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/manifest"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pkgdef/scriptlets"
)

// rpm's relations take no equals sign but their own, and rpm decodes what is
// behind it as a line of sysusers.d.
func TestUserProvide(t *testing.T) {
	for gecos := range 4 { // every length modulo 3
		user := scriptlets.SysusersLine{Type: "u", Name: "demo", ID: "-", Gecos: strings.Repeat("x", gecos), Home: "/var/lib/demo", Shell: "/usr/sbin/nologin"}
		encoded, ok := strings.CutPrefix(userProvide(user), "user(demo) = ")
		if !ok || strings.ContainsAny(encoded, "= ") {
			t.Errorf("provide %q", userProvide(user))
		}
		line, err := base64.StdEncoding.DecodeString(encoded)
		want := `u demo - "` + user.Gecos + `" /var/lib/demo /usr/sbin/nologin`
		if got := strings.TrimRight(string(line), "\x00"); got != want || err != nil {
			t.Errorf("it says %q, want %q, error %v", got, want, err)
		}
		if len(line)-len(want) > 2 {
			t.Errorf("%d NUL bytes", len(line)-len(want))
		}
	}
}

// Of a ghost, rpm looks at owner, mode and flags.
func TestPlainGhosts(t *testing.T) {
	made := manifest.Manifest{
		"file /etc/a":    "-rw-r--r-- root:root flags=cng verify=4294967295 to= time=1",
		"content /etc/a": "digest of nothing",
		"file /etc/b":    "-rw-r--r-- root:root flags=cn verify=4294967295 to= time=1",
		"content /etc/b": "digest of b",
	}
	rebuilt := manifest.Manifest{
		"file /etc/a":    "-rw-r--r-- root:root flags=cng verify=4294967256 to= time=2",
		"file /etc/b":    "-rw-r--r-- root:root flags=cn verify=4294967295 to= time=1",
		"content /etc/b": "digest of b",
	}
	plainGhosts(made)
	plainGhosts(rebuilt)
	if differences := manifest.Compare(made, rebuilt); len(differences) > 0 {
		t.Errorf("they differ: %v", differences)
	}
	if want := "-rw-r--r-- root:root flags=cng to="; made["file /etc/a"] != want {
		t.Errorf("the ghost is %q, want %q", made["file /etc/a"], want)
	}
	if made["content /etc/b"] == "" || !strings.Contains(made["file /etc/b"], "time=1") {
		t.Errorf("what is no ghost has changed: %v", made)
	}
}
