package datastore

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"time"

	"github.com/go-sql-driver/mysql"
	"github.com/lib/pq"
)

// patience is for a database that does not answer.
const patience = 10 * time.Second

// Look connects to a database, and returns the trust domain of its servers; "" says that
// none has used it yet.
func (a Address) Look(ctx context.Context) (trustDomain string, err error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	connector, err := a.connector()
	if err != nil {
		return "", err
	}
	database := sql.OpenDB(connector)
	defer func() { _ = database.Close() }()
	if err := database.PingContext(ctx); err != nil {
		return "", said(err)
	}
	return look(ctx, database)
}

func (a Address) connector() (driver.Connector, error) {
	if a.Kind == Postgres {
		connector, err := pq.NewConnector(a.String)
		if err != nil {
			return nil, errKeywords
		}
		return connector, nil
	}
	settings, err := mysql.ParseDSN(a.String)
	if err != nil {
		return nil, errDSN
	}
	settings.Logger = &mysql.NopLogger{} // it says again what is returned
	if a.RootCA != "" || a.ClientCert != "" {
		if settings.TLS, err = a.tls(settings.Addr); err != nil {
			return nil, err
		}
	}
	return mysql.NewConnector(settings)
}

func (a Address) tls(address string) (*tls.Config, error) {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	config := &tls.Config{ServerName: host, MinVersion: tls.VersionTLS12}
	if a.RootCA != "" {
		text, err := os.ReadFile(a.RootCA)
		if err != nil {
			return nil, err
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(text) {
			return nil, fmt.Errorf("%s has no certificate in PEM", a.RootCA)
		}
	}
	if a.ClientCert != "" {
		certificate, err := tls.LoadX509KeyPair(a.ClientCert, a.ClientKey)
		if err != nil {
			return nil, err
		}
		config.Certificates = []tls.Certificate{certificate}
	}
	return config, nil
}

// said is a driver's error in words.
func said(err error) error {
	var network *net.OpError
	var ofPostgres *pq.Error
	starting := errors.As(err, &ofPostgres) && ofPostgres.Code == "57P03" // or shutting down
	// A word from the other side is an answer.
	silent := errors.As(err, &network) && network.Op != "remote error" || errors.Is(err, io.EOF) || errors.Is(err, driver.ErrBadConn)
	if starting || silent || errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("the database does not answer: %w", err)
	}
	return fmt.Errorf("the database refuses: %w", err)
}

// look reads whose the database is. The first bundle is a server's own; those that it
// federates with come later.
func look(ctx context.Context, database *sql.DB) (trustDomain string, err error) {
	err = database.QueryRowContext(ctx, "SELECT trust_domain FROM bundles ORDER BY id LIMIT 1").Scan(&trustDomain)
	if noTable(err) || errors.Is(err, sql.ErrNoRows) {
		return "", nil
	}
	if err != nil {
		return "", said(err)
	}
	return strings.TrimPrefix(trustDomain, "spiffe://"), nil
}

// noTable says whether the database has none of that name.
func noTable(err error) bool {
	var ofPostgres *pq.Error
	var ofMySQL *mysql.MySQLError
	return errors.As(err, &ofPostgres) && ofPostgres.Code == "42P01" || errors.As(err, &ofMySQL) && ofMySQL.Number == 1146
}
