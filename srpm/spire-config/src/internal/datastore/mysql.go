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

// mysqlSafety is what SPIRE makes of an address of MySQL's.
func mysqlSafety(a Address) (host string, safe bool) {
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

func mysqlDetails(text string) details {
	settings, err := mysql.ParseDSN(text)
	if err != nil {
		return details{}
	}
	return details{settings.Net == "unix", settings.Addr + "/" + settings.DBName, settings.Passwd}
}
