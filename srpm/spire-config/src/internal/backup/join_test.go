package backup

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/spiffe-experimental/spire-config/internal/layout"
	"github.com/spiffe-experimental/spire-config/internal/testbed"
)

// invitationTo is one of a server of some version, for the machine of a test, where folders
// have its names.
func invitationTo(t *testing.T, to, of *testbed.Bed, version string) []byte {
	t.Helper()
	of.Write(of.ServerConfig(), 0o644, strings.ReplaceAll(of.Read(of.ServerConfig()), of.Path("/"), to.Path("/")))
	made := manifest{Form: form, Version: version, TrustDomain: "prod.test", Roots: []string{"00"}}
	testbed.Must(t, made.add(configured(of.Machine)))
	var out bytes.Buffer
	testbed.Must(t, write(&out, made))
	return out.Bytes()
}

// shared is a machine whose server has a database that nobody serves.
func shared(t *testing.T) *testbed.Bed {
	t.Helper()
	bed := testbed.New(t)
	bed.Replace(bed.ServerConfig(), `"example.org"`, `"prod.test"`)
	bed.Replace(bed.ServerConfig(), `"sqlite3"`, `"postgres"`)
	bed.Replace(bed.ServerConfig(), `"`+bed.Path("/var/lib/spire/server/datastore.sqlite3")+`"`, `"host=127.0.0.1 port=1 dbname=spire user=spire password=${SPIRE_DB_PASSWORD}"`)
	bed.Write(bed.ServerEnv(), 0o600, "SPIRE_DB_PASSWORD=secret\n")
	bed.Write(bed.DropIn(layout.ServerUnit, "mine.conf"), 0o644, "[Service]\n")
	return bed
}

func TestJoinRefusals(t *testing.T) {
	testbed.Programs(t)
	of := func(version string) func(*testbed.Bed) []byte {
		return func(bed *testbed.Bed) []byte { return invitationTo(t, bed, shared(t), version) }
	}
	for name, test := range map[string]struct {
		text  func(*testbed.Bed) []byte
		spoil func(*testbed.Bed)
		words string
	}{
		"another file": {func(*testbed.Bed) []byte { return []byte("x") }, nil, errForeign.Error()},
		"cut off": {func(bed *testbed.Bed) []byte {
			text := of("1.14.5")(bed)
			return text[:len(text)/2]
		}, nil, errChecksum.Error()},
		"a backup":         {func(*testbed.Bed) []byte { return archived(t, "1.14.5", "state/keys.json") }, nil, "server invite makes an invitation"},
		"a far version":    {of("1.12.0"), nil, "at most one minor version apart: install 1.12"},
		"a server of ours": {of("1.14.5"), func(b *testbed.Bed) { b.Write(filepath.Join(b.ServerState(""), "keys.json"), 0o600, "{}") }, "has a server of example.org already"},
		"no database here": {of("1.14.5"), nil, "the database does not answer"},
		"a database of its own": {func(bed *testbed.Bed) []byte { return invitationTo(t, bed, testbed.New(t), "1.14.5") }, nil,
			"its database is sqlite3"},
	} {
		t.Run(name, func(t *testing.T) {
			bed := testbed.New(t)
			if test.spoil != nil {
				test.spoil(bed)
			}
			before := bed.Snapshot()
			says(t, Join{File: "-", Input: bytes.NewReader(test.text(bed)), Start: true}.Run(t.Context(), bed.Machine), test.words)
			if diff := cmp.Diff(before, bed.Snapshot()); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestInvitationIsNoBackup(t *testing.T) {
	saved, bed := filepath.Join(t.TempDir(), "invitation"), testbed.New(t)
	testbed.Must(t, os.WriteFile(saved, invitationTo(t, bed, shared(t), "1.14.5"), 0o600))
	says(t, Restore{File: saved, Force: true}.Run(t.Context(), bed.Machine), errInvitation.Error())
}

func TestInviteNeedsASharedDatabase(t *testing.T) {
	says(t, Invite{File: "-"}.Run(t.Context(), testbed.New(t).Machine), "in a database of its own (sqlite3)")
	says(t, Invite{File: "-"}.Run(t.Context(), shared(t).Machine), "spire-server does not run")
}

// Keys beside the configuration would go along.
func TestInviteHasNoKeys(t *testing.T) {
	bed := shared(t)
	bed.Replace(bed.ServerConfig(), bed.Path("/var/lib/spire/server/keys.json"), filepath.Dir(bed.ServerConfig())+"/keys.json")
	says(t, Invite{File: "-"}.Run(t.Context(), bed.Machine), "has the CA's private keys")
}

// A file that the admin has elsewhere goes along as what it is, and one name is one file.
func TestContents(t *testing.T) {
	bed := shared(t)
	testbed.Must(t, os.Rename(bed.ServerEnv(), bed.Path("/srv-env")))
	testbed.Must(t, os.Symlink(bed.Path("/srv-env"), bed.ServerEnv()))
	var made manifest
	testbed.Must(t, made.add(configured(bed.Machine)))
	if !slices.ContainsFunc(made.Files, func(f file) bool { return f.Name == "config/server.env" && f.Size > 0 }) {
		t.Errorf("the link is not in %+v", made.Files)
	}
	if _, err := read(bytes.NewReader(archived(t, "1.14.5", "config/x", "config/x")), nil); err == nil || !strings.Contains(err.Error(), "a file of it is called") {
		t.Errorf("two of one name: %v", err)
	}
}

// What is outside of the folder does not go along, and is named.
func TestLeft(t *testing.T) {
	bed := shared(t)
	outside := filepath.Join(t.TempDir(), "ca.crt")
	bed.Write(outside, 0o644, "")
	bed.Write(filepath.Join(filepath.Dir(bed.ServerConfig()), "mine.crt"), 0o644, "")
	bed.Replace(bed.ServerConfig(), "user=spire", "user=spire sslrootcert="+outside+" sslcert="+filepath.Dir(bed.ServerConfig())+"/mine.crt")
	configuration, err := bed.ServerConfiguration()
	testbed.Must(t, err)
	if got := left(bed.Machine, configuration); strings.Join(got, " ") != outside {
		t.Errorf("what is left is %q, want %s", got, outside)
	}
}
