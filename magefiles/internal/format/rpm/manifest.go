package rpm

import (
	"context"
	"fmt"
	"regexp"
	"strings"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/manifest"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/run"
)

// Separators in rpm's answers that no text has.
const (
	unit   = "\x1f"
	record = "\x1e"
)

// tags are the header's single values.
var tags = map[string][]string{
	"field": {
		"NAME", "EPOCH", "VERSION", "RELEASE", "ARCH", "OS", "SUMMARY", "DESCRIPTION", "LICENSE", "GROUP", "URL",
		"VENDOR", "PACKAGER", "SOURCERPM", "BUILDTIME", "BUILDHOST", "FILEDIGESTALGO",
	},
	"scriptlet": {
		"PREIN", "POSTIN", "PREUN", "POSTUN", "PRETRANS", "POSTTRANS", "VERIFYSCRIPT",
		"PREINPROG", "POSTINPROG", "PREUNPROG", "POSTUNPROG",
	},
}

// relations are the header's lists of capabilities.
var relations = map[string]string{
	"requires": "REQUIRENEVRS", "provides": "PROVIDENEVRS", "obsoletes": "OBSOLETENEVRS", "conflicts": "CONFLICTNEVRS",
	"recommends": "RECOMMENDNEVRS", "suggests": "SUGGESTNEVRS", "supplements": "SUPPLEMENTNEVRS", "enhances": "ENHANCENEVRS",
}

// query asks for everything in one go: kind, name and value of each item.
func query() string {
	var text strings.Builder
	line := func(words ...string) { text.WriteString(strings.Join(words, unit) + record) }
	for kind, names := range tags {
		for _, tag := range names {
			line(kind, tag, "%{"+tag+"}")
		}
	}
	list := func(words ...string) {
		text.WriteString("[")
		line(words...)
		text.WriteString("]")
	}
	for kind, tag := range relations {
		list(kind, "%{"+tag+"}", "")
	}
	list("file", "%{FILENAMES}", "%{FILEMODES:perms} %{FILEUSERNAME}:%{FILEGROUPNAME} flags=%{FILEFLAGS:fflags} verify=%{FILEVERIFYFLAGS} to=%{FILELINKTOS} time=%{FILEMTIMES}")
	list("content", "%{FILENAMES}", "%{FILEDIGESTS}")
	list("changelog", "%{CHANGELOGNAME}", "%{CHANGELOGTEXT}")
	return text.String()
}

// none is what rpm says of a tag that is not there.
const none = "(none)"

// read asks rpm for everything in one go.
func read(ctx context.Context, path string) (manifest.Manifest, error) {
	out, err := run.New("rpm", "-qp", "--nosignature", "--qf", query(), path).Output(ctx)
	if err != nil {
		return nil, err
	}
	m := manifest.Manifest{}
	for item := range strings.SplitSeq(strings.TrimSuffix(out, record), record) {
		words := strings.Split(item, unit)
		if len(words) != 3 {
			return nil, fmt.Errorf("rpm answers %q", item)
		}
		if words[1] != none && words[2] != none && (words[0] != "content" || words[2] != "") {
			m[words[0]+" "+words[1]] = words[2]
		}
	}
	plainGhosts(m)
	return m, nil
}

// ghost is an rpm's file that is spoken of and not brought.
var ghost = regexp.MustCompile(`^(.* flags=\w*g\w*) verify=\d+ (to=.*) time=\d+$`)

// plainGhosts leaves out what rpm itself does not look at: time and digest of
// files that are not there (rpm's rpmVerifyFile).
func plainGhosts(m manifest.Manifest) {
	for item, value := range m {
		path, isFile := strings.CutPrefix(item, "file ")
		if !isFile || !ghost.MatchString(value) {
			continue
		}
		m[item] = ghost.ReplaceAllString(value, "$1 $2")
		delete(m, "content "+path)
	}
}
