package datastore

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"github.com/lib/pq"
)

// known are the settings that a connection string may have: those that SPIRE's driver
// has, without what leads past the check of a certificate.
var known = []string{
	"host", "port", "dbname", "user", "password", "sslmode", "sslrootcert", "sslcert", "sslkey",
	"application_name", "connect_timeout", "search_path", "options", "target_session_attrs",
}

// writable are the values of target_session_attrs that lead to a database that a server can
// write to.
var writable = []string{"read-write", "primary"}

func newPostgres(text, ca string) (Connection, error) {
	settings, err := postgresSettings(text)
	if err != nil {
		return Connection{}, err
	}
	for _, one := range settings {
		if !slices.Contains(known, one.name) {
			return Connection{}, fmt.Errorf("the connection string has the setting %q: write it into the configuration by hand, if you need that", one.name)
		}
	}
	for _, name := range []string{"host", "dbname", "user"} {
		if settings.value(name) == "" {
			return Connection{}, fmt.Errorf("the connection string says no %s: want host=HOST dbname=DATABASE user=USER password=PASSWORD", name)
		}
	}
	if settings, err = settings.several(); err != nil {
		return Connection{}, err
	}
	connection := Connection{Kind: Postgres, Password: settings.value("password")}
	if connection.Password != "" {
		settings = settings.with("password", placeholder)
	}
	if ca != "" {
		settings = settings.with("sslrootcert", ca)
	}
	if settings.value("sslmode") == "" {
		mode := pq.SSLModeVerifyFull
		if socket(settings.value("host")) {
			mode = pq.SSLModeDisable
		}
		settings = settings.with("sslmode", string(mode))
	}
	connection.String = settings.configured()
	return connection, nil
}

// several looks at the hosts, where there are several, one of which is the primary. None is
// waited for without end: one that has lost its network does not answer at all.
func (s settings) several() (settings, error) {
	hosts, attributes := strings.Split(s.value("host"), ","), s.value("target_session_attrs")
	switch {
	case attributes != "" && !slices.Contains(writable, attributes):
		return nil, fmt.Errorf("the connection string has target_session_attrs=%s, which may lead to a database that only reads: want read-write", attributes)
	case len(hosts) == 1:
		return s, nil
	case attributes == "":
		return nil, errors.New("the connection string has several hosts: add target_session_attrs=read-write, which finds the primary among them")
	case slices.ContainsFunc(hosts, func(host string) bool { return host == "" || socket(host) }):
		return nil, errors.New("the connection string has several hosts, and not each of them is a name or an address")
	case s.value("connect_timeout") == "":
		s = s.with("connect_timeout", "3")
	}
	return s, nil
}

// postgresSettings reads a connection string in either of its forms.
func postgresSettings(text string) (settings, error) {
	if !strings.HasPrefix(text, "postgres://") && !strings.HasPrefix(text, "postgresql://") {
		return keywords(text)
	}
	address, err := url.Parse(text)
	if err != nil {
		// Its words would have the password in them.
		return nil, errors.New("the connection string is no URL: want postgres://USER:PASSWORD@HOST/DATABASE")
	}
	password, _ := address.User.Password()
	all := settings{
		{"host", address.Hostname()}, {"port", address.Port()}, {"dbname", strings.TrimPrefix(address.Path, "/")},
		{"user", address.User.Username()}, {"password", password},
	}
	all = slices.DeleteFunc(all, func(one setting) bool { return one.value == "" })
	query := address.Query()
	names := make([]string, 0, len(query))
	for name := range query {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		if len(query[name]) > 1 || all.has(name) {
			return nil, errTwice(name)
		}
		all = append(all, setting{name, query.Get(name)})
	}
	return all, nil
}

// socket says whether a host is a folder with the database's socket.
func socket(host string) bool { return strings.HasPrefix(host, "/") || strings.HasPrefix(host, "@") }

// postgresSafety is what SPIRE's driver makes of a connection string.
func postgresSafety(text string) (host string, safe bool) {
	config, err := pq.NewConfig(text)
	if err != nil {
		return "", true
	}
	hosts := append([]pq.ConfigMultihost{{Host: config.Host, Hostaddr: config.Hostaddr}}, config.Multi...)
	if !slices.ContainsFunc(hosts, func(one pq.ConfigMultihost) bool { return !near(one.Host, one.Hostaddr) }) {
		return "", true
	}
	// With a socket as the first of several hosts there is no TLS for any.
	mixed := socket(config.Host)
	switch {
	case mixed:
	case config.SSLMode == pq.SSLModeVerifyFull:
		return "", true
	case (config.SSLMode == pq.SSLModeVerifyCA || config.SSLMode == pq.SSLModeRequire || config.SSLMode == "") && config.SSLRootCert != "":
		// By that CA alone; the machine's CAs would vouch for any name.
		return "", true
	}
	return config.Host, false
}

func postgresDetails(text string) details {
	settings, err := postgresSettings(text)
	if err != nil {
		return details{}
	}
	host := settings.value("host")
	return details{socket(host), host + ":" + settings.value("port") + "/" + settings.value("dbname"), settings.value("password")}
}

// near says whether nobody is between this machine and a host.
func near(host string, address netip.Addr) bool {
	if !address.IsValid() {
		address, _ = netip.ParseAddr(host)
	}
	if address.IsValid() {
		return address.Unmap().IsLoopback()
	}
	return host == "" || host == "localhost" || socket(host)
}
