package manifest

import (
	"context"
	"fmt"
	"regexp"
	"strings"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/run"
)

// Separators in rpm's answers that no text has.
const (
	unit   = "\x1f"
	record = "\x1e"
)

// rpmTags are the header's single values.
var rpmTags = map[string][]string{
	"field": {
		"NAME", "EPOCH", "VERSION", "RELEASE", "ARCH", "OS", "SUMMARY", "DESCRIPTION", "LICENSE", "GROUP", "URL",
		"VENDOR", "PACKAGER", "SOURCERPM", "BUILDTIME", "BUILDHOST", "FILEDIGESTALGO",
	},
	"scriptlet": {
		"PREIN", "POSTIN", "PREUN", "POSTUN", "PRETRANS", "POSTTRANS", "VERIFYSCRIPT",
		"PREINPROG", "POSTINPROG", "PREUNPROG", "POSTUNPROG",
	},
}

// rpmRelations are the header's lists of capabilities.
var rpmRelations = map[string]string{
	"requires": "REQUIRENEVRS", "provides": "PROVIDENEVRS", "obsoletes": "OBSOLETENEVRS", "conflicts": "CONFLICTNEVRS",
	"recommends": "RECOMMENDNEVRS", "suggests": "SUGGESTNEVRS", "supplements": "SUPPLEMENTNEVRS", "enhances": "ENHANCENEVRS",
}

// rpmQuery asks for everything in one go: kind, name and value of each item.
func rpmQuery() string {
	var query strings.Builder
	line := func(words ...string) { query.WriteString(strings.Join(words, unit) + record) }
	for kind, tags := range rpmTags {
		for _, tag := range tags {
			line(kind, tag, "%{"+tag+"}")
		}
	}
	list := func(words ...string) {
		query.WriteString("[")
		line(words...)
		query.WriteString("]")
	}
	for kind, tag := range rpmRelations {
		list(kind, "%{"+tag+"}", "")
	}
	list("file", "%{FILENAMES}", "%{FILEMODES:perms} %{FILEUSERNAME}:%{FILEGROUPNAME} flags=%{FILEFLAGS:fflags} verify=%{FILEVERIFYFLAGS} to=%{FILELINKTOS} time=%{FILEMTIMES}")
	list("content", "%{FILENAMES}", "%{FILEDIGESTS}")
	list("changelog", "%{CHANGELOGNAME}", "%{CHANGELOGTEXT}")
	return query.String()
}

// none is what rpm says of a tag that is not there.
const none = "(none)"

func readRPM(ctx context.Context, path string) (Manifest, error) {
	out, err := run.New("rpm", "-qp", "--nosignature", "--qf", rpmQuery(), path).Output(ctx)
	if err != nil {
		return nil, err
	}
	m := Manifest{}
	for item := range strings.SplitSeq(strings.TrimSuffix(out, record), record) {
		words := strings.Split(item, unit)
		if len(words) != 3 {
			return nil, fmt.Errorf("rpm answers %q", item)
		}
		if words[1] != none && words[2] != none && (words[0] != "content" || words[2] != "") {
			m[words[0]+" "+words[1]] = words[2]
		}
	}
	m.plainGhosts()
	return m, nil
}

// ghost is an rpm's file that is spoken of and not brought.
var ghost = regexp.MustCompile(`^(.* flags=\w*g\w*) verify=\d+ (to=.*) time=\d+$`)

// plainGhosts leaves out what rpm itself does not look at: time and digest of
// files that are not there (rpm's rpmVerifyFile).
func (m Manifest) plainGhosts() {
	for item, value := range m {
		path, isFile := strings.CutPrefix(item, "file ")
		if !isFile || !ghost.MatchString(value) {
			continue
		}
		m[item] = ghost.ReplaceAllString(value, "$1 $2")
		delete(m, "content "+path)
	}
}
