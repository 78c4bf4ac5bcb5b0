// Package provenance says where files come from, in the forms that tools of
// the field read: a software bill of materials (CycloneDX and SPDX) for each
// package file, one in-toto statement with SLSA provenance over all the files
// that are shipped, and Debian's .buildinfo.
//
// All of it comes out the same, byte for byte, for the same inputs: times are
// the source's, and what a form wants to be unique is worked out of its
// content.
package provenance

import (
	"bytes"
	"encoding/json"
	"fmt"
	"time"

	"github.com/google/uuid"
)

// Project is this project's address. The names that are made up here begin
// with it, as the forms want it of names that nobody else makes up.
const Project = "https://github.com/spiffe-experimental/spire-packages"

// tool is how the documents call what made them, and what begins the names of
// properties that no registry has.
const tool = "spire-packages"

// stamp is a time as all the forms write it: RFC 3339, in UTC, whole seconds.
func stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05Z") }

// identity is a name-based UUID (RFC 9562, version 5) of a document without
// its own identity: another content has another, the same content the same.
func identity(document []byte) uuid.UUID {
	return uuid.NewSHA1(uuid.NameSpaceURL, append([]byte(Project+"#"), document...))
}

// indented is JSON with one member a line. The libraries' own writers do not
// promise what space they put between members (protojson even varies it).
func indented(document []byte) ([]byte, error) {
	var out bytes.Buffer
	if err := json.Indent(&out, document, "", "  "); err != nil {
		return nil, fmt.Errorf("indenting JSON: %w", err)
	}
	out.WriteByte('\n')
	return out.Bytes(), nil
}
