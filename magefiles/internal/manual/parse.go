package manual

import (
	"cmp"
	"errors"
	"regexp"
	"slices"
	"strings"
)

// ErrNoHelp is output in which no help is found.
var ErrNoHelp = errors.New("the program printed no help")

var (
	// listing heads the subcommands in the help of mitchellh/cli.
	listing = regexp.MustCompile(`(?m)^(Available commands are|Subcommands):$`)
	// entry is one line of it.
	entry = regexp.MustCompile(`^ {4}(\S+)\s*(.*)$`)
	// usage heads the flags, in the help of Go's flag package.
	usage = regexp.MustCompile(`(?m)^Usage( of \S.*)?:$`)
	// global is a flag in the top line of mitchellh/cli.
	global = regexp.MustCompile(`\[--([a-z-]+)\]`)
	// option is the first line of a flag; short switches have their text in it.
	option = regexp.MustCompile(`^  -(\S+)(?: (\S+))?(?:\t(.*))?$`)
	preset = regexp.MustCompile(`(?s)\s*\(default (".*"|[^()]*)\)$`)
)

// group is what mitchellh/cli says of a command that only has subcommands.
const group = "This command is accessed by using one of the subcommands below."

// parse reads the help of one command. Below it only names are known yet.
func parse(text string) (Command, error) {
	own, list := text, ""
	if at := listing.FindStringIndex(text); at != nil {
		own, list = text[:at[0]], text[at[1]:]
	}
	c := Command{Sub: subcommands(list)}
	c.Flags, c.Runs = ownFlags(own)
	if len(c.Sub) == 0 && !c.Runs {
		return c, ErrNoHelp
	}
	return c, nil
}

func subcommands(list string) []Command {
	var subs []Command
	for line := range strings.Lines(list) {
		if m := entry.FindStringSubmatch(strings.TrimRight(line, " \n")); m != nil {
			subs = append(subs, Command{Name: m[1], Synopsis: m[2]})
		}
	}
	return subs
}

// ownFlags are the flags of the command itself. The usages that follow the
// first are those of its subcommands: mitchellh/cli asks each for a synopsis,
// and SPIRE's print their usage when they are made.
func ownFlags(text string) (flags []Flag, runs bool) {
	for _, m := range global.FindAllStringSubmatch(text, -1) {
		flags = append(flags, globalFlag(m[1]))
	}
	starts := usage.FindAllStringIndex(text, 2)
	if len(starts) == 0 || strings.Contains(text, group) {
		return sortFlags(flags), false
	}
	end := len(text)
	if len(starts) > 1 {
		end = starts[1][0]
	}
	return sortFlags(append(flags, parseFlags(text[starts[0][1]:end])...)), true
}

// globalFlag is a flag of which the help gives only the name.
func globalFlag(name string) Flag {
	text := map[string]string{"help": "Print help", "version": "Print the version"}
	return Flag{Name: name, Usage: text[name]}
}

func sortFlags(flags []Flag) []Flag {
	slices.SortFunc(flags, func(a, b Flag) int { return cmp.Compare(a.Name, b.Name) })
	return flags
}

// parseFlags reads what flag.PrintDefaults wrote.
func parseFlags(text string) []Flag {
	var flags []Flag
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\n")
		more, indented := strings.CutPrefix(line, "    \t")
		m := option.FindStringSubmatch(line)
		switch {
		case m != nil:
			flags = append(flags, Flag{Name: m[1], Type: m[2], Usage: m[3]})
		case indented && len(flags) > 0:
			last := &flags[len(flags)-1]
			last.Usage = strings.TrimSpace(last.Usage + "\n" + more)
		}
	}
	for i := range flags {
		flags[i].splitDefault()
	}
	return flags
}

// splitDefault moves the default from the usage to its own field.
func (f *Flag) splitDefault() {
	m := preset.FindStringSubmatchIndex(f.Usage)
	if m == nil {
		return
	}
	f.Default = strings.Trim(f.Usage[m[2]:m[3]], `"`)
	f.Usage = f.Usage[:m[0]]
}
