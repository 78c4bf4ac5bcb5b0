package main

import (
	"bytes"
	"fmt"

	"google.golang.org/protobuf/encoding/protowire"
)

// answer is a DiscoveryResponse.
type answer struct{ secrets []secret }

// secret is a Secret: a certificate with its key, or roots.
type secret struct {
	name              string
	chain, key, roots []byte // PEM
}

// only is the answer's one secret, which must have that name.
func (a answer) only(name string) (secret, error) {
	if len(a.secrets) != 1 || a.secrets[0].name != name {
		return secret{}, fmt.Errorf("the answer has %d secrets, not one of that name", len(a.secrets))
	}
	return a.secrets[0], nil
}

func parseAnswer(message []byte) (answer, error) {
	var a answer
	for _, resource := range all(message, 2) {
		if url := one(resource, 1); string(url) != secretType {
			return a, fmt.Errorf("the answer has something of the type %q", url)
		}
		a.secrets = append(a.secrets, parseSecret(one(resource, 2)))
	}
	return a, nil
}

// parseSecret reads a secret. Roots are in the validation context itself, or,
// since Envoy 1.18, those of each trust domain in the validator that knows
// SPIFFE.
func parseSecret(message []byte) secret {
	s := secret{name: string(one(message, 1))}
	certificate, validation := one(message, 2), one(message, 4)
	s.chain, s.key = inline(one(certificate, 1)), inline(one(certificate, 2))
	s.roots = inline(one(validation, 1))
	for _, domain := range all(one(one(one(validation, 12), 2), 2), 1) {
		s.roots = append(s.roots, inline(one(domain, 2))...)
	}
	return s
}

// inline is the content of a DataSource.
func inline(source []byte) []byte { return one(source, 2) }

// one is the last field of that number, all of them are all.
func one(message []byte, number protowire.Number) []byte {
	found := all(message, number)
	if len(found) == 0 {
		return nil
	}
	return found[len(found)-1]
}

// all are the fields of bytes of a number. What cannot be read is none, and
// found to be missing by whoever needs it.
func all(message []byte, wanted protowire.Number) [][]byte {
	var found [][]byte
	for len(message) > 0 {
		number, kind, n := protowire.ConsumeTag(message)
		if n < 0 {
			return nil
		}
		size := protowire.ConsumeFieldValue(number, kind, message[n:])
		if size < 0 {
			return nil
		}
		if number == wanted && kind == protowire.BytesType {
			value, _ := protowire.ConsumeBytes(message[n:])
			found = append(found, bytes.Clone(value))
		}
		message = message[n+size:]
	}
	return found
}
