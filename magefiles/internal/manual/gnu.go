package manual

import (
	"regexp"
	"strings"
)

var (
	// long is the first line of a flag with two dashes, in the help of cobra and of
	// kingpin. What follows is further to the right.
	long = regexp.MustCompile(`^ {2,6}(?:-(\w), )?--(?:\[no-\])?([\w-]+)(?:\[=\S*\])?(?:[= ](\S*)(?: \.\.\.)?)?(?: {2,}(\S.*))?$`)
	// isGNU finds such a help.
	isGNU = regexp.MustCompile(`(?m)^ {2,6}(?:-\w, )?--[\w\[]`)
	// arguments are what cobra's line of usage names in capitals, between the command's
	// words and its flags.
	arguments = regexp.MustCompile(`^ {2}[a-z][a-z -]* ((?:\[?[A-Z][A-Z0-9-]*(?:\.\.\.)?\]?(?:\|-)? )+)\[flags\]$`)
	// section heads a part of such a help, and listed is a command in one of cobra's.
	section = regexp.MustCompile(`^([A-Z][A-Za-z ]*):$`)
	listed  = regexp.MustCompile(`^ {2}(\S+) +(\S.*)$`)
	// summed is a command in one of kingpin's, which has all commands at once.
	summed = regexp.MustCompile(`^(\w[\w-]*)(?: .*)?$`)
)

// parseGNU reads the help of a command whose flags have two dashes. Kingpin's names the
// subcommands with their flags, and so whole is true: there is nothing more to ask.
func parseGNU(text string) (c Command, whole bool) {
	parts := sections(text)
	c.Flags = sortFlags(gnuFlags(parts["Flags"]))
	if commands, ok := parts["Commands"]; ok {
		c.Sub = summedCommands(commands)
		return c, true
	}
	for _, line := range parts["Usage"] {
		if m := arguments.FindStringSubmatch(line); m != nil {
			c.Args = strings.TrimSpace(m[1])
		}
		c.Runs = c.Runs || strings.TrimSpace(line) != "" && !strings.HasSuffix(line, " [command]")
	}
	for _, line := range parts["Available Commands"] {
		if m := listed.FindStringSubmatch(line); m != nil && !ofTheHelp(m[1]) {
			c.Sub = append(c.Sub, Command{Name: m[1], Synopsis: m[2]})
		}
	}
	return c, false
}

// ofTheHelp says whether a command is about the other ones: the page and our completion
// stand in for it.
func ofTheHelp(command string) bool { return command == "help" || command == "completion" }

// sections are the lines below each heading.
func sections(text string) map[string][]string {
	parts, name := map[string][]string{}, ""
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, " \n")
		if m := section.FindStringSubmatch(line); m != nil {
			name = m[1]
			parts[name] = []string{}
		} else if strings.HasPrefix(line, " ") || line == "" || name == "Commands" {
			parts[name] = append(parts[name], line)
		} else {
			name = ""
		}
	}
	return parts
}

// summedCommands are the commands in kingpin's long help: a line with the name, one or
// more with the synopsis, and the flags.
func summedCommands(lines []string) []Command {
	var subs []Command
	var rest [][]string
	for _, line := range lines {
		if m := summed.FindStringSubmatch(line); m != nil {
			subs, rest = append(subs, Command{Name: m[1], Runs: true}), append(rest, nil)
		} else if len(subs) > 0 {
			rest[len(rest)-1] = append(rest[len(rest)-1], line)
		}
	}
	var all []Command
	for i, sub := range subs {
		if ofTheHelp(sub.Name) {
			continue
		}
		for _, line := range rest[i] {
			if isGNU.MatchString(line) {
				break
			}
			sub.Synopsis = strings.TrimSpace(sub.Synopsis + " " + strings.TrimSpace(line))
		}
		sub.Flags = sortFlags(gnuFlags(rest[i]))
		all = append(all, sub)
	}
	return all
}

// gnuFlags reads flags with two dashes. That there is help needs no saying at each
// command.
func gnuFlags(lines []string) []Flag {
	var flags []Flag
	for _, line := range lines {
		if m := long.FindStringSubmatch(line); m != nil {
			flags = append(flags, Flag{Name: m[2], Type: m[3], Usage: m[4], Short: m[1], Long: true})
		} else if text := strings.TrimSpace(line); text != "" && len(flags) > 0 {
			last := &flags[len(flags)-1]
			last.Usage = strings.TrimSpace(last.Usage + "\n" + text)
		}
	}
	var kept []Flag
	for _, f := range flags {
		f.splitDefault()
		if f.Name != "help" {
			kept = append(kept, f)
		}
	}
	return kept
}
