// Command tornjak stands in for the two programs of Tornjak, which are not served here: it
// takes the flags of the one that it is called as, and reads of its configuration what the
// packages promise, so that units, users and configuration are tried before it.
//
//	tornjak-backend --tornjak-config FILE [--spire-config FILE] [--expandEnv] http | serverinfo
//	tornjak-manager [-listen ADDRESS] [-database FILE]
//
// Whoever has the token "good" may ask the backend whether the server's socket opens. It
// knows nothing of Tornjak's own answers.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// misconfigured is the exit status where starting again changes nothing.
const misconfigured = 78

func main() {
	run := map[string]func([]string) error{"tornjak-backend": backend, "tornjak-manager": manager}[filepath.Base(os.Args[0])]
	if run == nil {
		log.Fatalf("%s: call it as tornjak-backend or as tornjak-manager", os.Args[0])
	}
	err := run(os.Args[1:])
	if err != nil {
		log.Print(err)
	}
	if errors.Is(err, errUnguarded) {
		os.Exit(misconfigured)
	}
	if err != nil {
		os.Exit(1)
	}
}

// backend is Tornjak's program beside one server.
func backend(args []string) error {
	flags := flag.NewFlagSet("tornjak-backend", flag.ContinueOnError)
	file := flags.String("tornjak-config", "", "Config file path for tornjak server")
	flags.String("spire-config", "", "Config file path for spire server")
	flags.Bool("expandEnv", false, "Expansion of variables in config files")
	if err := flags.Parse(args); err != nil {
		return err
	}
	content, err := os.ReadFile(*file)
	if err != nil {
		return fmt.Errorf("reading the configuration: %w", err)
	}
	c := read(string(content))
	switch flags.Arg(0) {
	case "serverinfo":
		_, err := os.Stdout.Write(content)
		return err
	case "http":
		return c.serve()
	}
	return fmt.Errorf("unknown command %q", flags.Arg(0))
}

func (c configuration) serve() error {
	if err := c.guarded(); err != nil {
		return err
	}
	if err := touch(c.database); err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/healthz", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("/", c.answer)
	return serve(func() (net.Listener, error) { return net.Listen("tcp", net.JoinHostPort(c.address, c.port)) }, mux)
}

// answer says whether the server's socket opens, to whom it may.
func (c configuration) answer(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Authorization") != "Bearer good" {
		http.Error(w, "Error authorizing request", http.StatusUnauthorized)
		return
	}
	connection, err := net.DialTimeout("unix", strings.TrimPrefix(c.socket, "unix://"), time.Second)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	_ = connection.Close()
}

// manager is Tornjak's program before several backends.
func manager(args []string) error {
	flags := flag.NewFlagSet("tornjak-manager", flag.ContinueOnError)
	database := flags.String("database", "./serverlocaldb", "file of the database")
	address := flags.String("listen", "127.0.0.1:50000", "address to listen at, or the path of a socket for its owner and group")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if err := touch(*database); err != nil {
		return err
	}
	handler := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, `{"servers":[]}`) })
	return serve(func() (net.Listener, error) { return listen(*address) }, handler)
}

// listen takes a path for a socket, which is its owner's and group's.
func listen(address string) (net.Listener, error) {
	if !strings.HasPrefix(address, "/") {
		return net.Listen("tcp", address)
	}
	listener, err := net.Listen("unix", address)
	if err == nil {
		err = os.Chmod(address, 0o660)
	}
	return listener, err
}

func serve(listen func() (net.Listener, error), handler http.Handler) error {
	listener, err := listen()
	if err != nil {
		return fmt.Errorf("listening: %w", err)
	}
	server := http.Server{Handler: handler, ReadHeaderTimeout: time.Minute}
	return server.Serve(listener)
}

// touch makes the file of a database, as its user's umask has it.
func touch(path string) error {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o666) //nolint:gosec // the unit's umask is to decide
	if err != nil {
		return fmt.Errorf("opening the database: %w", err)
	}
	return file.Close()
}
