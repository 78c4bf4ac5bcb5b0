package gotool

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/mod/module"
)

// databases are the public checksum databases whose keys the go command has built
// in: the first is its default, the other the same one under another name
// (cmd/go/internal/modfetch).
var databases = []string{"sum." + "golang.org", "sum.golang.google.cn"}

// Unchecked says by which of the user's settings it is not Go's public checksum
// database that vouches for a module, where that setting stands, and what to do;
// empty when the database does. A database of somebody's own vouches for what
// its owner says; also names further ones that count, for tests.
func (g Go) Unchecked(path string, also ...string) string {
	if database := strings.Fields(g.user.GOSUMDB); len(database) == 0 || !slices.Contains(databases, database[0]) && !slices.Contains(also, g.user.GOSUMDB) {
		return fmt.Sprintf("GOSUMDB=%s (%s) is not Go's public database: set GOSUMDB=%s in the environment", g.user.GOSUMDB, g.where("GOSUMDB"), databases[0])
	}
	for _, setting := range []struct{ name, value string }{
		{"GONOSUMDB", g.user.GONOSUMDB}, // GOPRIVATE's value, unless set
		{"GOINSECURE", g.user.GOINSECURE},
		{"GONOSUMCHECK", os.Getenv("GONOSUMCHECK")},
	} {
		if !module.MatchPrefixPatterns(setting.value, path) && (setting.name != "GONOSUMCHECK" || setting.value == "") {
			continue
		}
		if setting.name == "GONOSUMDB" && g.where("GONOSUMDB") == nowhere {
			setting.name = "GOPRIVATE"
		}
		return fmt.Sprintf("%s=%s (%s) covers %s: unset it, or leave that module out of it", setting.name, setting.value, g.where(setting.name), path)
	}
	if strings.Contains(g.user.GOFLAGS, "-insecure") {
		return fmt.Sprintf("GOFLAGS=%s (%s) has -insecure: unset it", g.user.GOFLAGS, g.where("GOFLAGS"))
	}
	return ""
}

// nowhere is where a setting stands that nobody has made.
const nowhere = "the go command's default"

// where is the place that a setting comes from, in the order in which the go
// command looks.
func (g Go) where(name string) string {
	if os.Getenv(name) != "" {
		return "in the environment"
	}
	for _, file := range []string{g.user.GOENV, filepath.Join(g.user.GOROOT, "go.env")} {
		content, _ := os.ReadFile(file) // the go command has read it, if it is there
		for line := range strings.Lines(string(content)) {
			if strings.HasPrefix(line, name+"=") {
				return "in " + file
			}
		}
	}
	return nowhere
}
