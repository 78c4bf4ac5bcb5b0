package pkgdef

// Facts are what a package file of one format says of itself in words, the
// same for every architecture. What the format's own tools find out when they
// build the package is not among them.
type Facts struct {
	License string // SPDX expression
	// Description is the long text without the summary.
	Description string
	Depends     []string
	Recommends  []string
	Suggests    []string
	Provides    []string
	// Replaces are packages whose place this one takes: Debian's Replaces, an
	// rpm's Obsoletes.
	Replaces []string
	Breaks   []string          // Debian's only
	Fields   map[string]string // further fields of Debian's control file
	Group    string            // rpm's only
}
