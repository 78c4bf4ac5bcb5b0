// Package manual turns a program's own help into its man page and its bash
// completion, so that neither can say what the program does not.
package manual

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/run"
)

// Program is a command whose help can be asked for.
type Program struct {
	Path   string   // the file to run
	Prefix []string // what runs it, such as an emulator; empty for the machine itself
	Name   string   // what it is called when installed
}

// Command is a command or subcommand as its help describes it.
type Command struct {
	Name     string // its own word, such as "create"
	Synopsis string // one line; may be empty
	Args     string // what it takes beside flags, such as FILE; empty where the help does not name it so
	Runs     bool   // it does something by itself, not only by its subcommands
	Flags    []Flag // sorted by name
	Sub      []Command
}

// Flag is one option, without its dash.
type Flag struct {
	Name    string
	Type    string // what its value is, such as "string"; empty for a switch
	Usage   string
	Default string // as the help prints it, without quotes; may be empty
	// Short is another name, of one letter, and Long says that this one has two dashes.
	Short string
	Long  bool
}

// dashed is the flag as one types it.
func (f Flag) dashed() string {
	if f.Long {
		return "--" + f.Name
	}
	return "-" + f.Name
}

// Explore asks the program for its help, level by level. It runs in an empty
// environment, so that the answer is the same on every machine.
func Explore(ctx context.Context, p Program) (Command, error) {
	path, err := filepath.Abs(p.Path)
	if err != nil {
		return Command{}, fmt.Errorf("exploring %s: %w", p.Name, err)
	}
	e := explorer{argv: append(slices.Clone(p.Prefix), path), slots: make(chan struct{}, 2*runtime.GOMAXPROCS(0))}
	c, err := e.command(ctx, nil)
	if err != nil {
		return Command{}, fmt.Errorf("exploring the help of %s: %w", p.Name, err)
	}
	c.Name = p.Name
	return c, nil
}

// explorer runs help calls, a few at a time.
type explorer struct {
	argv  []string
	slots chan struct{}
}

// command explores one command and, side by side, those below it.
func (e explorer) command(ctx context.Context, words []string) (Command, error) {
	text, err := e.help(ctx, words)
	if err != nil {
		return Command{}, err
	}
	if isGNU.MatchString(text) {
		c, whole := parseGNU(text)
		if whole {
			return c, nil
		}
		return c, e.below(ctx, words, c)
	}
	c, err := parse(text)
	if err != nil {
		return Command{}, fmt.Errorf("%s: %w", strings.Join(append(words, "--help"), " "), err)
	}
	return c, e.below(ctx, words, c)
}

// below explores the subcommands of a command, in place.
func (e explorer) below(ctx context.Context, words []string, c Command) error {
	errs := make([]error, len(c.Sub))
	var wg sync.WaitGroup
	for i, sub := range c.Sub {
		wg.Go(func() {
			below, err := e.command(ctx, append(slices.Clone(words), sub.Name))
			below.Name, below.Synopsis = sub.Name, sub.Synopsis
			c.Sub[i], errs[i] = below, err
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

const nobodysHome = "/nonexistent"

// help is what the program prints for the words and --help, on either stream.
// Help may come with any exit code, but the program must have run.
func (e explorer) help(ctx context.Context, words []string) (string, error) {
	e.slots <- struct{}{}
	defer func() { <-e.slots }()
	argv := slices.Concat(e.argv, words, []string{"--help"})
	cmd := run.New(argv[0], argv[1:]...).In("/")
	cmd.Env = []string{"HOME=" + nobodysHome}
	text, err := cmd.Combined(ctx)
	// What it says of its home is of everybody's.
	text = strings.ReplaceAll(text, nobodysHome, "~")
	var failed *run.Error
	if errors.As(err, &failed) && failed.Code > 0 {
		return text, nil
	}
	return text, err
}
