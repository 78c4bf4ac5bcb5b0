package manual

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// Completion writes the bash completion of a command. It needs nothing of the
// bash-completion package and runs no program, so it works and is quick
// wherever bash is.
func Completion(c Command) []byte {
	name := "_" + regexp.MustCompile(`[^A-Za-z0-9]`).ReplaceAllString(c.Name, "_")
	all := levels(c, "")
	either := eitherDash
	if c.gnu() {
		either = "    if"
	}
	script := strings.NewReplacer(
		"@EITHER@", either,
		"@NAME@", c.Name, "@FUNCTION@", name,
		"@PATHS@\n", paths(all), "@VALUES@\n", values(all), "@LEVELS@\n", words(all),
	).Replace(completion)
	return []byte(script)
}

const completion = `# bash completion for @NAME@

@FUNCTION@() {
    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]}
    local path='' flags='' subcommands='' i

    # Bash splits -flag=value at the equals sign.
    if [[ $cur == '=' ]]; then
        cur=''
    elif [[ $prev == '=' ]] && ((COMP_CWORD > 1)); then
        prev=${COMP_WORDS[COMP_CWORD - 2]}
    fi
    [[ $prev == --* ]] && prev=${prev#-}
    COMPREPLY=()

    # The subcommand is the known words before the first flag.
    for ((i = 1; i < COMP_CWORD; i++)); do
        case "$path ${COMP_WORDS[i]}" in
@PATHS@
            *) break ;;
        esac
    done

    # The value of a flag.
    case "$path $prev" in
@VALUES@
        *) ;;
    esac

    case "$path" in
@LEVELS@
        *) ;;
    esac
@EITHER@ [[ -z $cur && -n $subcommands ]]; then
        flags=''
    fi
    mapfile -t COMPREPLY < <(compgen -W "$subcommands$flags" -- "$cur")
}

complete -F @FUNCTION@ @NAME@
`

// eitherDash is for programs whose flags may have one dash or two.
const eitherDash = `    if [[ $cur == --* ]]; then
        flags=${flags// -/ --}
    elif`

// gnu says whether the program's flags have two dashes.
func (c Command) gnu() bool {
	return slices.ContainsFunc(c.Flags, func(f Flag) bool { return f.Long }) || slices.ContainsFunc(c.Sub, Command.gnu)
}

// level is one command with the words that lead to it, each after a blank.
type level struct {
	path string
	Command
}

// with are the level's flags, and those of the top that go with each command.
func (l level) with(top level) []Flag {
	if l.path == "" {
		return l.Flags
	}
	return append(slices.Clone(l.Flags), slices.DeleteFunc(slices.Clone(top.Flags), func(f Flag) bool { return !f.global() })...)
}

// levels lists a command and all below it.
func levels(c Command, path string) []level {
	all := []level{{path, c}}
	for _, sub := range c.Sub {
		all = append(all, levels(sub, path+" "+sub.Name)...)
	}
	return all
}

// paths are the patterns for all subcommands.
func paths(all []level) string {
	var known []string
	for _, l := range all[1:] {
		known = append(known, quoted(l.path))
	}
	if len(known) == 0 {
		return ""
	}
	return "            " + strings.Join(known, " | \\\n                ") + ") path+=\" ${COMP_WORDS[i]}\" ;;\n"
}

// words are the cases that set what can follow at each level.
func words(all []level) string {
	var b strings.Builder
	for _, l := range all {
		flags := " " + Flag{Name: "help", Long: all[0].gnu()}.dashed()
		for _, f := range l.with(all[0]) {
			if f.Name != "help" {
				flags += " " + f.dashed()
			}
		}
		fmt.Fprintf(&b, "        %s)\n", quoted(l.path))
		if len(l.Sub) > 0 {
			fmt.Fprintf(&b, "            subcommands='%s'\n", strings.Join(names(l.Sub), " "))
		}
		fmt.Fprintf(&b, "            flags='%s'\n            ;;\n", flags)
	}
	return b.String()
}

func names(subs []Command) []string {
	var list []string
	for _, s := range subs {
		list = append(list, s.Name)
	}
	return list
}

// values are the cases for flags that take a value: of each flag the kind of
// value that most commands give it, before that the exceptions.
func values(all []level) string {
	kinds := map[string]map[string][]string{} // flag, completion, paths
	for _, l := range all {
		for _, f := range l.Flags {
			for _, name := range []string{f.Name, f.Short} {
				if f.Type == "" || name == "" {
					continue
				}
				if kinds[name] == nil {
					kinds[name] = map[string][]string{}
				}
				kinds[name][f.complete()] = append(kinds[name][f.complete()], quoted(l.path+" -"+name))
			}
		}
	}
	cases := map[string][]string{}
	for name, byAction := range kinds {
		for action, where := range byAction {
			if len(byAction) == 1 {
				where = []string{"*" + quoted(" -"+name)}
			}
			cases[action] = append(cases[action], where...)
		}
	}
	var b strings.Builder
	for _, action := range slices.Sorted(maps.Keys(cases)) {
		slices.Sort(cases[action])
		fmt.Fprintf(&b, "        %s)\n", strings.Join(cases[action], " | \\\n            "))
		b.WriteString(action + "            return\n            ;;\n")
	}
	return b.String()
}

var (
	isDir  = regexp.MustCompile(`(?i)dir(ectory)?$`)
	isFile = regexp.MustCompile(`(?i)(path|file|config|bundle|socket)$`)
	onDisk = regexp.MustCompile(`(?i)^(an? |the )?(optional )?((path|directory|file|socket|configuration file)\b)|to the specified path`)
	choose = regexp.MustCompile(`(?:\(|[Oo]ptions: |one of )((?:\w+, )+(?:(?:or|and) )?\w+(?: (?:or|and) \w+)?)`)
	picked = regexp.MustCompile(`['"](\w+)['"]`)
	joiner = regexp.MustCompile(`,? (?:and|or) |, `)
)

// complete is the shell lines that complete a flag's value.
func (f Flag) complete() string {
	const indent = "            "
	if list := f.choices(); len(list) > 1 {
		return indent + "mapfile -t COMPREPLY < <(compgen -W '" + strings.Join(list, " ") + "' -- \"$cur\")\n"
	}
	kind := ""
	switch {
	case f.Type != "string" && f.Type != "value" && f.Type != "PATH" || strings.Contains(f.Usage, "SPIFFE ID"):
	case isDir.MatchString(f.Name) || strings.HasPrefix(f.Usage, "Directory"):
		kind = "-d"
	case isFile.MatchString(f.Name) || onDisk.MatchString(f.Usage):
		kind = "-f"
	}
	if kind == "" {
		return ""
	}
	return indent + "compopt -o filenames 2>/dev/null\n" +
		indent + "mapfile -t COMPREPLY < <(compgen " + kind + " -- \"$cur\")\n"
}

// choices are the values that the usage names, if it names several.
func (f Flag) choices() []string {
	if f.Long {
		inside, ok := strings.CutPrefix(strings.TrimSuffix(f.Type, "}"), "{")
		if !ok {
			return nil
		}
		return strings.Split(inside, ",")
	}
	if m := choose.FindStringSubmatch(f.Usage); m != nil {
		return joiner.Split(m[1], -1)
	}
	var list []string
	for _, m := range picked.FindAllStringSubmatch(f.Usage, -1) {
		list = append(list, m[1])
	}
	return list
}

// quoted is a word in single quotes; the words of commands have none in them.
func quoted(s string) string { return "'" + s + "'" }
