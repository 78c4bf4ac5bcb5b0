package main

import (
	"cmp"
	"errors"
	"fmt"
	"regexp"
	"strings"
)

// configuration is what this program reads of the backend's.
type configuration struct {
	socket, address, port, database string
	issuer, audience, clientCA      string
	authenticator, authorizer       bool
}

// errUnguarded is what is missing of a configuration that would keep others out.
var errUnguarded = errors.New("Tornjak Config error") //nolint:staticcheck // as the program itself says it

var comment = regexp.MustCompile(`(?m)^\s*(#|//).*$`)

// read takes the values that have a line each, which is all that the packaged file has.
func read(text string) configuration {
	text = comment.ReplaceAllString(text, "")
	value := func(name string) string {
		match := regexp.MustCompile(`(?m)^\s*` + name + `\s*=\s*"?([^"\n]*)"?\s*$`).FindStringSubmatch(text)
		if match == nil {
			return ""
		}
		return match[1]
	}
	return configuration{
		socket: value("spire_socket_path"), address: cmp.Or(value("address"), "127.0.0.1"), port: value("port"), database: value("filename"),
		issuer: value("issuer"), audience: value("audience"), clientCA: value("client_ca"),
		authenticator: strings.Contains(text, "Authenticator \""), authorizer: strings.Contains(text, "Authorizer \""),
	}
}

// guarded says what is missing.
func (c configuration) guarded() error {
	switch {
	case c.socket == "":
		return fmt.Errorf("%w: 'config > server > spire_socket_path' field not defined", errUnguarded)
	case c.clientCA != "":
		return nil
	case !c.authenticator:
		return fmt.Errorf("%w: there is no Authenticator, and everybody would be let in", errUnguarded)
	case c.issuer == "" || c.audience == "":
		return fmt.Errorf("%w: the Authenticator needs an issuer and an audience", errUnguarded)
	case !c.authorizer:
		return fmt.Errorf("%w: there is no Authorizer, and everybody would be let in", errUnguarded)
	}
	return nil
}
