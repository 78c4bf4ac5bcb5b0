package backup

import (
	"strings"
	"testing"

	"github.com/spiffe-experimental/spire-config/internal/change"
	"github.com/spiffe-experimental/spire-config/internal/testbed"
)

// The other server's own address is none of this machine's.
func TestAddress(t *testing.T) {
	for name, test := range map[string]struct{ asked, theirs, want string }{
		"one of another machine": {"", "192.0.2.1", "0.0.0.0"},
		"all of them":            {"", "0.0.0.0", "0.0.0.0"},
		"this machine alone":     {"", "127.0.0.1", "127.0.0.1"},
		"asked for":              {"127.0.0.1", "192.0.2.1", "127.0.0.1"},
	} {
		t.Run(name, func(t *testing.T) {
			bed := testbed.New(t)
			came := &arrival{files: []change.File{{Path: bed.ServerConfig(), Content: []byte("server {\n    bind_address = \"" + test.theirs + "\"\n}\n")}}}
			testbed.Must(t, Join{Address: test.asked}.address(bed.Machine, came))
			if got := string(came.files[0].Content); !strings.Contains(got, `bind_address = "`+test.want+`"`) {
				t.Error(got)
			}
		})
	}
}
