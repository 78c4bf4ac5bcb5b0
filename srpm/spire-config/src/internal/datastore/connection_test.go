package datastore

import (
	"strings"
	"testing"
)

const ca = "/etc/spire/server/db-ca.crt"

func TestNew(t *testing.T) {
	for name, test := range map[string]struct {
		kind, text, ca string
		want           Connection
	}{
		"PostgreSQL": {Postgres, "host=db.test dbname=spire user=spire password=secret", "",
			Connection{Postgres, "host=db.test dbname=spire user=spire password='${SPIRE_DB_PASSWORD}' sslmode=verify-full", "secret", ""}},
		"its CA": {Postgres, "host=db.test  dbname = spire user='spire' sslmode=verify-ca sslrootcert=/x password='a$b'", ca,
			Connection{Postgres, "host=db.test dbname=spire user=spire sslmode=verify-ca sslrootcert=" + ca + " password='${SPIRE_DB_PASSWORD}'", "a$b", ""}},
		"a primary and its standby": {Postgres, "host=one.test,two.test target_session_attrs=read-write dbname=spire user=spire", ca,
			Connection{Postgres, "host='one.test,two.test' target_session_attrs=read-write dbname=spire user=spire connect_timeout=3 sslrootcert=" + ca + " sslmode=verify-full", "", ""}},
		"as long as is asked": {Postgres, "postgres://spire@one.test,two.test/spire?target_session_attrs=primary&connect_timeout=9", "",
			Connection{Postgres, "host='one.test,two.test' dbname=spire user=spire connect_timeout=9 target_session_attrs=primary sslmode=verify-full", "", ""}},
		"quotes": {Postgres, "host=db.test dbname='my \\'db' user=a\\ b options='' application_name=$HOME", "/my ca.crt",
			Connection{Postgres, `host=db.test dbname='my \'db' user='a b' options='' application_name='$$HOME' sslrootcert='/my ca.crt' sslmode=verify-full`, "", ""}},
		"a URL in a password": {Postgres, "host=db.test dbname=spire user=spire password=a://b sslmode=verify-full", "",
			Connection{Postgres, "host=db.test dbname=spire user=spire password='${SPIRE_DB_PASSWORD}' sslmode=verify-full", "a://b", ""}},
		"its socket": {Postgres, "host=/run/postgresql dbname=spire user=spire-server", "",
			Connection{Postgres, "host=/run/postgresql dbname=spire user=spire-server sslmode=disable", "", ""}},
		"on this machine": {Postgres, "host=127.0.0.1 dbname=spire user=spire sslmode=disable", "",
			Connection{Postgres, "host=127.0.0.1 dbname=spire user=spire sslmode=disable", "", ""}},
		"a URL": {Postgres, "postgres://sp$ire:a%25b@db.test:5433/spire?connect_timeout=5", ca,
			Connection{Postgres, "host=db.test port=5433 dbname=spire user='sp$$ire' password='${SPIRE_DB_PASSWORD}' connect_timeout=5 sslrootcert=" + ca + " sslmode=verify-full", "a%b", ""}},
		"a URL with its password behind": {Postgres, "postgresql://spire@db.test/spire?password=secret", "",
			Connection{Postgres, "host=db.test dbname=spire user=spire password='${SPIRE_DB_PASSWORD}' sslmode=verify-full", "secret", ""}},
		"MySQL": {MySQL, "spire:p@ss@tcp(db.test:3306)/spire", ca,
			Connection{MySQL, "spire:${SPIRE_DB_PASSWORD}@tcp(db.test:3306)/spire?parseTime=true", "p@ss", ca}},
		"MySQL by a CA of the machine's": {MySQL, "spire:secret@tcp(db.test)/spire?tls=true&parseTime=false", "",
			Connection{MySQL, "spire:${SPIRE_DB_PASSWORD}@tcp(db.test:3306)/spire?parseTime=true&tls=true", "secret", ""}},
		"MySQL, whose TLS is not required": {MySQL, "spire@tcp(db.test)/spire?tls=preferred", ca,
			Connection{MySQL, "spire@tcp(db.test:3306)/spire?parseTime=true", "", ca}},
		"its socket, of MySQL": {MySQL, "spire-server@unix(/run/mysqld/mysqld.sock)/spire", "",
			Connection{MySQL, "spire-server@unix(/run/mysqld/mysqld.sock)/spire?parseTime=true", "", ""}},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := New(test.kind, test.text, test.ca)
			if err != nil || got != test.want {
				t.Errorf("%v\n%+v, want\n%+v", err, got, test.want)
			}
		})
	}
}

// No error shows the password, whatever is wrong.
func TestNewRefuses(t *testing.T) {
	for name, test := range map[string]struct{ kind, text, words string }{
		"no host":                {Postgres, "dbname=spire user=spire password=tangram", "says no host"},
		"no TLS":                 {Postgres, "host=db.test dbname=spire user=spire password=tangram sslmode=disable", "db.test does not verify its certificate"},
		"TLS to anybody":         {Postgres, "host=192.0.2.1 dbname=spire user=spire sslmode=require", "man in the middle"},
		"any name by any CA":     {Postgres, "host=db.test dbname=spire user=spire sslmode=verify-ca", "man in the middle"},
		"TLS to anybody, as URL": {Postgres, "postgres://spire:tangram@db.test/spire?sslmode=require", "man in the middle"},
		"another address":        {Postgres, "host=localhost hostaddr=192.0.2.1 dbname=spire user=spire sslmode=disable", `has the setting "hostaddr"`},
		"several hosts":          {Postgres, "host=one.test,two.test dbname=spire user=spire", "add target_session_attrs=read-write"},
		"a host that only reads": {Postgres, "host=one.test,two.test target_session_attrs=standby dbname=spire user=spire", "only reads"},
		"one that only reads":    {Postgres, "host=db.test target_session_attrs=any dbname=spire user=spire", "only reads"},
		"a socket among hosts":   {Postgres, "host=db.test,/run/postgresql target_session_attrs=primary dbname=spire user=spire", "not each of them"},
		"several, no TLS":        {Postgres, "host=localhost,db.test target_session_attrs=primary dbname=spire user=spire sslmode=disable", "does not verify its certificate"},
		"a key in it":            {Postgres, "host=db.test dbname=spire user=spire sslinline=true", `has the setting "sslinline"`},
		"twice":                  {Postgres, "host=db.test dbname=spire user=spire sslmode=verify-full sslmode=disable", "says sslmode twice"},
		"twice, as URL":          {Postgres, "postgres://spire:tangram@localhost/spire?host=db.test&sslmode=disable", "says host twice"},
		"hidden by a form feed":  {Postgres, "host=db.test dbname=spire user=spire options=x\fsslmode=disable", "does not verify its certificate"},
		"a URL to nowhere":       {Postgres, "postgres://db.test/spire", "says no user"},
		"no URL":                 {Postgres, "postgres://spire:tan/gram@db.test/spire", "is no URL"},
		"a URL of others":        {Postgres, "https://spire:tangram@db.test/spire", "none of PostgreSQL's"},
		"no string at all":       {Postgres, "spire:tangram", "none of PostgreSQL's"},
		"an open quote":          {Postgres, "host='db.test password=tangram", "none of PostgreSQL's"},
		"MySQL, no TLS":          {MySQL, "spire:tangram@tcp(db.test)/spire", "db.test does not verify its certificate"},
		"MySQL, TLS to anybody":  {MySQL, "spire:tangram@tcp(db.test)/spire?tls=skip-verify", "does not verify"},
		"MySQL, TLS if it likes": {MySQL, "spire:tangram@tcp(db.test)/spire?tls=true&allowFallbackToPlaintext=true", "does not verify"},
		"MySQL, no user":         {MySQL, "tcp(db.test)/spire?tls=true", "none of MySQL's"},
		"MySQL, no network":      {MySQL, "spire:tangram/spire", "none of MySQL's"},
		"no string of MySQL's":   {MySQL, "host=db.test password=tangram sslrootcert=/x", "none of MySQL's"},
		"a password with quotes": {Postgres, `host=db.test dbname=spire user=spire password=tangram"b`, "the password has"},
		"a variable's beginning": {Postgres, "host=db.test dbname=spire user=spire password=tangram${b", "begins a variable"},
		"a password with spaces": {MySQL, "spire:tangram b@tcp(db.test)/spire?tls=true", "the password has"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := New(test.kind, test.text, "")
			if err == nil || !strings.Contains(err.Error(), test.words) || strings.Contains(err.Error(), "gram") {
				t.Errorf("error %v, want %q", err, test.words)
			}
		})
	}
}

// What a configuration says becomes again what was given, with other paths if need be.
func TestAddress(t *testing.T) {
	connection, err := New(Postgres, "host=db.test dbname=a$b user=spire password=x$HOME", ca)
	if err != nil {
		t.Fatal(err)
	}
	moved := func(path string) string { return strings.Replace(path, ca, "/tmp/my ca", 1) }
	want := Address{Kind: Postgres, String: "host=db.test dbname='a$b' user=spire password='x$HOME' sslrootcert='/tmp/my ca' sslmode=verify-full"}
	if got := connection.Address(moved); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	for _, text := range []string{"postgres://spire:x@db.test/spire?sslrootcert=%2Fetc%2Fspire%2Fserver%2Fdb-ca.crt", "host=db.test sslrootcert='" + ca + "'"} {
		if got := (Address{Kind: Postgres, String: text}).Moved(moved).String; !strings.Contains(got, "sslrootcert='/tmp/my ca'") {
			t.Errorf("%s becomes %s", text, got)
		}
	}
}

func TestVerify(t *testing.T) {
	for text, unverified := range map[string]bool{
		"host=db.test dbname=spire user=spire":               true,
		"host=db.test user=spire sslmode=disable":            true,
		"host=db.test password=sslmode=verify-full":          true,
		"host=db.test sslmode=verify-full":                   false,
		"host=db.test sslmode = verify-full":                 false,
		"host=db.test sslmode=require sslrootcert=/etc/ca":   false,
		"host=db.test sslmode=verify-ca":                     true,
		"host=localhost dbname=spire user=spire":             false,
		"host=localhost hostaddr=192.0.2.1 sslmode=disable":  true,
		"host=/run/postgresql,db.test sslmode=verify-full":   true,
		"postgres://spire@db.test/spire":                     true,
		"postgres://spire@db.test/spire?connect_timeout=1":   true,
		"postgres://spire@db.test/spire?sslmode=verify-full": false,
		"nothing that could be read":                         false,
	} {
		if err := (Address{Kind: Postgres, String: text}).Verify(); (err != nil) != unverified {
			t.Errorf("%s: %v", text, err)
		}
	}
	const dsn = "spire@tcp(db.test)/spire?parseTime=true"
	for name, test := range map[string]struct {
		address    Address
		unverified bool
	}{
		"nothing":            {Address{Kind: MySQL, String: dsn}, true},
		"root_ca_path":       {Address{Kind: MySQL, String: dsn, RootCA: ca}, false},
		"client_cert_path":   {Address{Kind: MySQL, String: dsn, ClientCert: ca}, false},
		"plaintext if asked": {Address{Kind: MySQL, String: dsn + "&allowFallbackToPlaintext=true", RootCA: ca}, true},
	} {
		if err := test.address.Verify(); (err != nil) != test.unverified {
			t.Errorf("MySQL by %s: %v", name, err)
		}
	}
	if all := Configured(func(name string) string {
		return map[string]string{"ro_connection_string": "x", "database_type": "sqlite3"}[name]
	}); len(all) != 2 || all[0].Shared() {
		t.Errorf("%+v", all)
	}
}

func TestSame(t *testing.T) {
	one := Address{Kind: Postgres, String: "host=db.test dbname=spire user=a password=b"}
	for text, same := range map[string]bool{
		"host=db.test dbname=spire user=a password=new":      true,
		"postgres://a:new@db.test/spire?sslmode=verify-full": true,
		"host=db.test dbname=other user=a password=b":        false,
		"not to be read": false,
	} {
		if got := one.Same(Address{Kind: Postgres, String: text}); got != same {
			t.Errorf("%s: %v", text, got)
		}
	}
	if one.Same(Address{Kind: MySQL, String: "spire@tcp(db.test)/spire"}) {
		t.Error("two kinds are the same")
	}
}

// Where nobody answers it says so, and does not show the password.
func TestLookInVain(t *testing.T) {
	for name, address := range map[string]Address{
		Postgres: {Kind: Postgres, String: "host=127.0.0.1 port=1 dbname=spire user=spire password=secret sslmode=disable"},
		MySQL:    {Kind: MySQL, String: "spire:secret@tcp(127.0.0.1:1)/spire"},
	} {
		if _, err := address.Look(t.Context()); err == nil || !strings.Contains(err.Error(), "the database does not answer") || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzKeywords(f *testing.F) {
	for _, text := range []string{"host=db.test dbname='a b' password=\\ ", "a=b", "a='", "='x'"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		read, err := keywords(text)
		if err != nil {
			return
		}
		again, err := keywords(read.raw())
		if err != nil || len(again) != len(read) {
			t.Fatalf("%q becomes %q: %v", text, read, err)
		}
		for _, one := range read {
			if again.value(one.name) != one.value {
				t.Fatalf("%q: %s is %q and then %q", text, one.name, one.value, again.value(one.name))
			}
		}
	})
}
