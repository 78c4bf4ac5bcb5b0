// Package attestation has what somebody says who has built packages again and got the same
// bytes: in-toto's links, in the form of rebuilderd, which clients such as Debian's
// repro-threshold read.
package attestation

import (
	"bytes"
	"crypto/ed25519"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// Suffix ends the names of files with an attestation.
const Suffix = ".link"

// Limit is how many bytes one may have.
const Limit = 1 << 20

// Link says that products came out of materials: files by their names, with their SHA-256.
type Link struct {
	Name      string // such as rebuild spire_1.14.5-2
	Materials map[string]string
	Products  map[string]string
}

// named begins the names of links about a version of a source.
const named = "rebuild "

// About is the name of a link about a version with the packaging's release, such as 1.14.5-2.
func About(source, version string) string { return named + source + "_" + version }

// Of is what a link is about, by its name.
func (l Link) Of() (source, version string, ok bool) {
	about, ok := strings.CutPrefix(l.Name, named)
	if !ok {
		return "", "", false
	}
	return strings.Cut(about, "_")
}

// Attestation is a link with signatures, in in-toto's envelope before DSSE, which is the one
// that rebuilderd and its clients have.
type Attestation struct {
	Link       Link
	signed     any // as it was read
	signatures []signature
}

type signature struct {
	Key   string `json:"keyid"`
	Value string `json:"sig"`
}

// envelope is the form of the file.
type envelope struct {
	Signatures []signature     `json:"signatures"`
	Signed     json.RawMessage `json:"signed"`
}

// link is the form of what is signed: it has just these members, as others would be in no
// client's canonical form.
type link struct {
	Type        string             `json:"_type"`
	Name        string             `json:"name"`
	Materials   map[string]digests `json:"materials"`
	Products    map[string]digests `json:"products"`
	Environment any                `json:"environment"`
	Byproducts  map[string]any     `json:"byproducts"`
	Command     []string           `json:"command"`
}

type digests map[string]string

func digested(files map[string]string) map[string]digests {
	all := map[string]digests{}
	for name, sum := range files {
		all[name] = digests{"sha256": sum}
	}
	return all
}

// Sign is the link with the signature of a key, as a file has it.
func (l Link) Sign(key ed25519.PrivateKey) ([]byte, error) {
	signed, err := json.Marshal(link{"link", l.Name, digested(l.Materials), digested(l.Products), nil, map[string]any{}, []string{}})
	if err != nil {
		return nil, fmt.Errorf("signing an attestation: %w", err)
	}
	text, err := canonicalOf(signed)
	if err != nil {
		return nil, fmt.Errorf("signing an attestation: %w", err)
	}
	by := signature{PublicOf(key).ID(), hex.EncodeToString(ed25519.Sign(key, text))}
	content, err := json.Marshal(envelope{[]signature{by}, signed})
	if err != nil {
		return nil, fmt.Errorf("signing an attestation: %w", err)
	}
	return append(content, '\n'), nil
}

var sumForm = regexp.MustCompile(`^[0-9a-f]{64}$`)

// Parse reads an attestation. Nobody has verified a signature of it yet.
func Parse(content []byte) (Attestation, error) {
	a, err := parse(content)
	if err != nil {
		return Attestation{}, fmt.Errorf("reading an attestation: %w", err)
	}
	return a, nil
}

func parse(content []byte) (a Attestation, err error) {
	if len(content) > Limit {
		return a, fmt.Errorf("it has more than %d bytes", Limit)
	}
	var read envelope
	if err := json.Unmarshal(content, &read); err != nil {
		return a, err
	}
	if a.signed, err = decode(read.Signed); err != nil {
		return a, err
	}
	// What is read is what is verified, also where a member is there twice.
	once, err := json.Marshal(a.signed)
	if err != nil {
		return a, err
	}
	var said link
	if err := json.Unmarshal(once, &said); err != nil {
		return a, err
	}
	if said.Type != "link" {
		return a, fmt.Errorf("what is signed is of the type %.40q, and no link", said.Type)
	}
	a.signatures = read.Signatures
	a.Link.Name = said.Name
	if a.Link.Materials, err = sums(said.Materials); err != nil {
		return a, err
	}
	if a.Link.Products, err = sums(said.Products); err == nil && len(a.Link.Products) == 0 {
		err = errors.New("it has no products")
	}
	return a, err
}

func sums(files map[string]digests) (map[string]string, error) {
	all := map[string]string{}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		sum := files[name]["sha256"]
		if !sumForm.MatchString(sum) {
			return nil, fmt.Errorf("%.80q has the SHA-256 %.80q, which is none", name, sum)
		}
		all[name] = sum
	}
	return all, nil
}

// By is an error unless the key has signed it.
func (a Attestation) By(key Key) error {
	text, err := canonical(a.signed)
	if err != nil {
		return err
	}
	id := key.ID()
	for _, one := range a.signatures {
		value, err := hex.DecodeString(one.Value)
		if err == nil && one.Key == id && ed25519.Verify(key.PublicKey, text, value) {
			return nil
		}
	}
	return fmt.Errorf("the key %.8s has not signed it", id)
}

// canonicalOf is the canonical form of a JSON text.
func canonicalOf(text []byte) ([]byte, error) {
	value, err := decode(text)
	if err != nil {
		return nil, err
	}
	return canonical(value)
}

func decode(text []byte) (value any, err error) {
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	return value, decoder.Decode(&value)
}

// canonical is in-toto's canonical JSON: members in order, no space, and a line's end as it
// is.
func canonical(value any) ([]byte, error) {
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(value); err != nil {
		return nil, err
	}
	return bytes.ReplaceAll(bytes.TrimSuffix(text.Bytes(), []byte("\n")), []byte(`\n`), []byte("\n")), nil
}
