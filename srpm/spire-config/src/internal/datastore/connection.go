// Package datastore knows the databases that several SPIRE servers share: how a server
// connects to one safely, and what is in it.
package datastore

import (
	"errors"
	"fmt"
	"os"
	"strings"
)

// The values of database_type.
const (
	Postgres = "postgres"
	MySQL    = "mysql"
)

// PasswordVariable is where the password is, outside of the configuration.
const PasswordVariable = "SPIRE_DB_PASSWORD"

const placeholder = "${" + PasswordVariable + "}"

// A Connection is what a server's configuration and environment say of its database.
type Connection struct {
	// Kind is the database_type.
	Kind string
	// String is the connection_string, with the password's variable in its place.
	String string
	// Password is "" where there is none, such as with a client certificate.
	Password string
	// RootCA is the root_ca_path; PostgreSQL has it in its String.
	RootCA string
}

// ErrUnverified is where somebody in the way to the database could pass for it.
var ErrUnverified = errors.New("a man in the middle could write registration entries")

// New reads a connection string as SPIRE's documentation has it. One over a network must
// verify the database's certificate. The file ca is the CA of that one; "" leaves it to
// the string, or to the machine's CAs. No error shows the string, which has a password.
func New(kind, text, ca string) (Connection, error) {
	read := newPostgres
	if kind == MySQL {
		read = newMySQL
	}
	connection, err := read(text, ca)
	if err != nil {
		return Connection{}, err
	}
	if err := sound(connection.Password); err != nil {
		return Connection{}, err
	}
	return connection, connection.Address(nil).Verify()
}

// sound looks at what stands unquoted in an environment file, and in HCL afterwards.
func sound(password string) error {
	for _, letter := range password {
		if letter <= ' ' || letter > '~' || strings.ContainsRune("\"'\\`", letter) {
			return errors.New("the password has a space, a quote, a backslash, or a letter that is not ASCII, which would need quoting three times over: choose another")
		}
	}
	if strings.Contains(password, "${") {
		return errors.New("the password has ${, with which HCL begins a variable: choose another")
	}
	return nil
}

// literal is a text in which no variable is meant.
func literal(text string) string { return strings.ReplaceAll(text, "$", "$$") }

// Address is the connection as it is made. What moved says of the paths of files is done
// to them.
func (c Connection) Address(moved func(string) string) Address {
	text := os.Expand(c.String, func(name string) string {
		if name == "$" {
			return name
		}
		return c.Password
	})
	address := Address{Kind: c.Kind, String: text, RootCA: c.RootCA}
	if moved != nil {
		address = address.Moved(moved)
	}
	return address
}

// An Address is a connection with all of its variables replaced, as a configuration
// has it.
type Address struct {
	Kind, String string
	// RootCA, ClientCert and ClientKey are files that MySQL has beside its string.
	RootCA, ClientCert, ClientKey string
}

// Configured are the addresses that the plugin_data of DataStore "sql" names: the one
// that is written to, and the one for reading alone, where there is one.
func Configured(value func(name string) string) []Address {
	var all []Address
	for _, name := range []string{"connection_string", "ro_connection_string"} {
		if text := value(name); text != "" || len(all) == 0 {
			all = append(all, Address{value("database_type"), text, value("root_ca_path"), value("client_cert_path"), value("client_key_path")})
		}
	}
	return all
}

// Shared says whether several servers may use the database.
func (a Address) Shared() bool { return a.Kind == Postgres || a.Kind == MySQL }

// Moved is the same with other paths of files.
func (a Address) Moved(moved func(string) string) Address {
	for _, path := range []*string{&a.RootCA, &a.ClientCert, &a.ClientKey} {
		if *path != "" {
			*path = moved(*path)
		}
	}
	if a.Kind != Postgres {
		return a
	}
	settings, err := postgresSettings(a.String)
	if err != nil {
		return a
	}
	for i, one := range settings {
		if one.name == "sslrootcert" || one.name == "sslcert" || one.name == "sslkey" {
			settings[i].value = moved(one.value)
		}
	}
	a.String = settings.raw()
	return a
}

// details are what a connection string says; nothing where it cannot be read.
type details struct {
	socket bool
	// place is the database without who comes there and how.
	place    string
	password string
}

func (a Address) details() details {
	if a.Kind == MySQL {
		return mysqlDetails(a.String)
	}
	return postgresDetails(a.String)
}

// Same says whether two addresses are of one database, whoever comes there.
func (a Address) Same(b Address) bool {
	place := a.details().place
	return a.Kind == b.Kind && place != "" && place == b.details().place
}

// Socket says whether an address is a socket of this machine, where the database may ask
// which user it is that connects.
func (a Address) Socket() bool { return a.details().socket }

// Password is the one in the connection string, or "".
func (a Address) Password() string { return a.details().password }

// Verify says whether the certificate of a database is verified that is not on this
// machine. Of an address that cannot be read it says nothing.
func (a Address) Verify() error {
	host, safe := postgresSafety(a.String)
	if a.Kind == MySQL {
		host, safe = mysqlSafety(a)
	}
	if safe {
		return nil
	}
	return fmt.Errorf("the connection to %s does not verify its certificate: %w", host, ErrUnverified)
}
