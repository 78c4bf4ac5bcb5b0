package pipeline

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/artifact"
)

// Result is what a build has made.
type Result struct {
	Tree  artifact.Tree
	Dir   string // where the files are
	Files []artifact.File
	Took  time.Duration
	// Unpinned says why the C compiler is not the one that the source names; empty
	// where it is.
	Unpinned string
	// Unsupported says why users should take another version; empty where they need not.
	Unsupported string
	// Part are the packages that were asked for; empty where it is all.
	Part []string
	// Signed is the fingerprint of the key that signed the files; empty where
	// nobody did.
	Signed string
}

// Print writes the table that a build ends with.
func (r Result) Print(w io.Writer) {
	table := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	fmt.Fprintln(table, "FILE\tSIZE\tSHA256\tSECONDS\t")
	built := 0
	for _, file := range r.Files {
		state := "unchanged"
		if file.Rebuilt {
			state = "built"
			built++
		}
		fmt.Fprintf(table, "%s\t%d\t%s\t%.1f\t%s\n", file.Name(), file.Size, file.SHA256, file.Took.Seconds(), state)
	}
	table.Flush()
	if !r.Tree.Verified {
		fmt.Fprintln(w, "NOT VERIFIED: nobody vouches for the source of these files.")
	}
	if r.Unpinned != "" {
		fmt.Fprintf(w, "NOT REPRODUCIBLE: made with another C compiler than the one that the source names, and never to be signed: %s.\n", r.Unpinned)
	}
	if r.Unsupported != "" {
		fmt.Fprintf(w, "NOT SUPPORTED: %s.\n", r.Unsupported)
	}
	switch {
	case r.Signed != "":
		fmt.Fprintf(w, "Signed by %s.\n", r.Signed)
	case len(r.Part) > 0:
		fmt.Fprintf(w, "UNSIGNED, A PART: %s alone; `sign` takes whole versions only.\n", strings.Join(r.Part, ", "))
	case r.Tree.Verified && r.Unpinned == "":
		fmt.Fprintln(w, "UNSIGNED: `sign` makes of these files those to ship.")
	default:
		fmt.Fprintln(w, "UNSIGNED.")
	}
	fmt.Fprintf(w, "%d built, %d unchanged, %.1f s, in %s\n", built, len(r.Files)-built, r.Took.Seconds(), r.Dir)
}

// Paths are the paths of the files.
func (r Result) Paths() []string {
	paths := make([]string, 0, len(r.Files))
	for _, file := range r.Files {
		paths = append(paths, file.Path)
	}
	return paths
}

// Digests are the digests of the files, in the form of SHA256SUMS.
func (r Result) Digests() string {
	var lines strings.Builder
	for _, file := range r.Files {
		fmt.Fprintf(&lines, "%s  %s\n", file.SHA256, file.Name())
	}
	return lines.String()
}
