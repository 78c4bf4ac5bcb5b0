package report

import (
	"path/filepath"
	"testing"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/run"
)

func TestSchema(t *testing.T) {
	for name, r := range map[string]Run{"sample": sample(), "hostile": hostile()} {
		t.Run(name, func(t *testing.T) { validate(t, written(t, r)) })
	}
}

// validate has libxml2 compare the JUnit file of a report with the schema.
func validate(t *testing.T, dir string) {
	t.Helper()
	if !run.Have("xmllint") {
		t.Skip("xmllint is missing (Debian's package libxml2-utils): nothing checks the JUnit file")
	}
	out, err := run.New("xmllint", "--nonet", "--noout", "--schema", "testdata/junit.xsd", filepath.Join(dir, JUnit)).Combined(t.Context())
	if err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}
