package datastore

import (
	"errors"
	"net"
	"net/netip"
	"strings"

	"github.com/go-sql-driver/mysql"
)

// The driver's own words would have the password in them.
var errDSN = errors.New("the connection string is none of MySQL's: want USER:PASSWORD@tcp(HOST:3306)/DATABASE")

func newMySQL(text, ca string) (Connection, error) {
	settings, err := mysql.ParseDSN(text)
	if err != nil || settings.User == "" || settings.DBName == "" {
		return Connection{}, errDSN
	}
	connection := Connection{Kind: MySQL, Password: settings.Passwd, RootCA: ca}
	if ca != "" {
		// SPIRE makes its own of root_ca_path.
		settings.TLSConfig, settings.AllowFallbackToPlaintext = "", false
	}
	settings.ParseTime = true // SPIRE asks for it
	user := settings.User
	settings.User, settings.Passwd = "", ""
	connection.String = literal(user)
	if connection.Password != "" {
		connection.String += ":" + placeholder
	}
	connection.String += literal("@" + strings.TrimPrefix(settings.FormatDSN(), "@"))
	return connection, nil
}

// safety is what SPIRE's drivers make of an address: the host, and whether it is this
// machine or its certificate is verified.
func (a Address) safety() (host string, safe bool) {
	if a.Kind != MySQL {
		return postgresSafety(a.String)
	}
	settings, err := mysql.ParseDSN(a.String)
	if err != nil || settings.Net == "unix" {
		return "", true
	}
	host, _, err = net.SplitHostPort(settings.Addr)
	if err != nil || near(host, netip.Addr{}) {
		return host, true
	}
	verified := a.RootCA != "" || a.ClientCert != "" || settings.TLSConfig == "true"
	return host, verified && !settings.AllowFallbackToPlaintext
}

// Socket says whether an address is a socket of this machine, where the database may ask
// which user it is that connects.
func (a Address) Socket() bool {
	if a.Kind == MySQL {
		settings, err := mysql.ParseDSN(a.String)
		return err == nil && settings.Net == "unix"
	}
	settings, err := postgresSettings(a.String)
	return err == nil && socket(settings.value("host"))
}

// place is the database without who comes there and how; "" where that cannot be read.
func (a Address) place() string {
	if a.Kind == MySQL {
		settings, err := mysql.ParseDSN(a.String)
		if err != nil {
			return ""
		}
		return settings.Addr + "/" + settings.DBName
	}
	settings, err := postgresSettings(a.String)
	if err != nil {
		return ""
	}
	return settings.value("host") + ":" + settings.value("port") + "/" + settings.value("dbname")
}

// PasswordOf is the password in a connection string, or "".
func PasswordOf(kind, text string) string {
	if kind == MySQL {
		if settings, err := mysql.ParseDSN(text); err == nil {
			return settings.Passwd
		}
		return ""
	}
	settings, err := postgresSettings(text)
	if err != nil {
		return ""
	}
	return settings.value("password")
}
