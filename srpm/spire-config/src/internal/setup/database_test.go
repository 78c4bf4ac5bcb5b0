package setup

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/spiffe-experimental/spire-config/internal/datastore"
	"github.com/spiffe-experimental/spire-config/internal/hcledit"
	"github.com/spiffe-experimental/spire-config/internal/testbed"
)

const nobody = "host=127.0.0.1 port=1 dbname=spire user=spire password=secret sslmode=disable"

// Each of these is refused before anything is written.
func TestDatabaseRefusals(t *testing.T) {
	const certificate = "-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n"
	for name, test := range map[string]struct {
		text  string
		mode  os.FileMode
		ca    string
		spoil func(*testbed.Bed)
		words string
	}{
		"open to everybody": {text: nobody, mode: 0o644, words: "mode 0644: chmod 0600"},
		"nothing in it":     {text: "\n", mode: 0o600, words: "want one, the connection string"},
		"two lines":         {text: nobody + "\n" + nobody + "\n", mode: 0o600, words: "has 2 lines"},
		"no TLS":            {text: "host=db.test dbname=spire user=spire sslmode=disable", mode: 0o600, words: "give its CA by --database-ca FILE"},
		"no certificate":    {text: nobody, mode: 0o600, ca: "x", words: "is no certificate in PEM"},
		"a key beside it":   {text: nobody, mode: 0o600, ca: certificate + "-----BEGIN PRIVATE KEY-----\n", words: "or has more than that"},
		"nobody answers":    {text: nobody + "\n", mode: 0o600, ca: certificate, words: "the database does not answer"},
		"another datastore": {text: nobody, mode: 0o600, words: "SPIRE moves none to another database", spoil: func(b *testbed.Bed) {
			b.Write(b.Path("/srv/d.sqlite3"), 0o600, "")
			b.Replace(b.ServerConfig(), b.Path("/var/lib/spire/server/datastore.sqlite3"), b.Path("/srv/d.sqlite3"))
		}},
		"entries in SQLite": {text: nobody, mode: 0o600, words: "SPIRE moves none to another database", spoil: func(b *testbed.Bed) {
			b.Write(filepath.Join(b.ServerState(""), "datastore.sqlite3"), 0o600, "")
		}},
	} {
		t.Run(name, func(t *testing.T) {
			bed := testbed.New(t)
			if test.spoil != nil {
				test.spoil(bed)
			}
			file := filepath.Join(t.TempDir(), "database")
			bed.Write(file, test.mode, test.text)
			asked := Database{Kind: datastore.Postgres, File: file}
			if test.ca != "" {
				asked.CA = filepath.Join(t.TempDir(), "ca")
				bed.Write(asked.CA, 0o644, test.ca)
			}
			before := bed.Snapshot()
			err := Server{TrustDomain: "example.org", Database: asked}.Run(t.Context(), bed.Machine)
			says(t, err, test.words)
			if strings.Contains(err.Error(), "secret") {
				t.Errorf("the password is in the words: %v", err)
			}
			if diff := cmp.Diff(before, bed.Snapshot()); diff != "" {
				t.Error(diff)
			}
		})
	}
	bed := testbed.New(t)
	says(t, Server{TrustDomain: "prod.test", Database: Database{CA: "x"}}.Run(t.Context(), bed.Machine), "add --postgres FILE")
}

// What is written is valid, and the password is in the environment file alone.
func TestDatabaseWritten(t *testing.T) {
	testbed.Programs(t)
	for kind, test := range map[string]struct{ text, want string }{
		datastore.Postgres: {"host=/nowhere dbname=spire user=spire password=secret", `connection_string = "host=/nowhere dbname=spire user=spire password='${SPIRE_DB_PASSWORD}' sslmode=disable"`},
		datastore.MySQL:    {"spire:secret@unix(/nowhere)/spire", `connection_string = "spire:${SPIRE_DB_PASSWORD}@unix(/nowhere)/spire?parseTime=true"`},
	} {
		bed := testbed.New(t)
		asked := Server{TrustDomain: "prod.test", Database: Database{Kind: kind, File: "-", Input: strings.NewReader(test.text)}}
		bed.DryRun = true
		says(t, asked.Run(t.Context(), bed.Machine), "")
		if strings.Contains(bed.Out.String(), "secret\n") {
			t.Errorf("a dry run shows the password:\n%s", bed.Out)
		}
		bed.DryRun = false
		asked.Database.Input = strings.NewReader(test.text)
		says(t, asked.Run(t.Context(), bed.Machine), "")
		if text := bed.Read(bed.ServerConfig()); !strings.Contains(text, test.want) || strings.Contains(text, "secret@") || strings.Contains(text, "password=secret") {
			t.Errorf("want %s:\n%s", test.want, text)
		}
		if got := bed.Read(bed.ServerEnv()); got != "SPIRE_DB_PASSWORD=secret\n" {
			t.Errorf("the environment is %q", got)
		}
		if info, err := os.Stat(bed.ServerEnv()); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("its mode is %v, %v", info.Mode(), err)
		}
	}
}

// The CA of MySQL is in a value of its own, which goes where there is none.
func TestRootCA(t *testing.T) {
	document, err := hcledit.Parse([]byte("plugins {\n    DataStore \"sql\" {\n        plugin_data {\n        }\n    }\n}\n"))
	if err != nil {
		t.Fatal(err)
	}
	for _, ca := range []string{"/etc/ca.crt", ""} {
		for _, err := range (prepared{Connection: datastore.Connection{Kind: datastore.MySQL, String: "x", RootCA: ca}}).edit(document) {
			says(t, err, "")
		}
		if has := strings.Contains(string(document.Bytes()), "root_ca_path"); has != (ca != "") {
			t.Errorf("with the CA %q:\n%s", ca, document.Bytes())
		}
	}
}

// A password that stood in the configuration is in no diff.
func TestFormerPassword(t *testing.T) {
	bed := testbed.New(t)
	bed.Replace(bed.ServerConfig(), `"sqlite3"`, `"postgres"`)
	bed.Replace(bed.ServerConfig(), `"`+bed.Path("/var/lib/spire/server/datastore.sqlite3")+`"`, `"host=/nowhere user=spire password=tangram"`)
	bed.DryRun = true
	asked := Database{Kind: datastore.Postgres, File: "-", Input: strings.NewReader("host=/nowhere dbname=spire user=spire password=other")}
	says(t, Server{TrustDomain: "prod.test", Database: asked}.Run(t.Context(), bed.Machine), "")
	if out := bed.Out.String() + bed.Notes.String(); strings.Contains(out, "tangram") || !strings.Contains(out, "give the database another password") {
		t.Error(out)
	}
}
