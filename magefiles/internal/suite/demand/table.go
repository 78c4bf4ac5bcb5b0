package demand

import (
	"context"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

// State is what became of a demand.
type State string

// The states.
const (
	Green   State = "green"
	Red     State = "red"
	Persons State = "a person's"
)

// Check prints what became of each demand on the checkout in a folder, and fails where
// something is missing that a program can see.
func Check(ctx context.Context, w io.Writer, root string) error {
	lists, err := Load(root)
	if err != nil {
		return err
	}
	count := map[State]int{}
	for _, list := range lists {
		if err := list.print(ctx, w, root, count); err != nil {
			return fmt.Errorf("printing %s: %w", list.Title, err)
		}
	}
	fmt.Fprintf(w, "%d green, %d red, %d a person's\n", count[Green], count[Red], count[Persons])
	if count[Red] > 0 {
		return fmt.Errorf("of what is asked for, there is not all: %d red", count[Red])
	}
	return nil
}

// print writes the list as a table, and counts.
func (l List) print(ctx context.Context, w io.Writer, root string, count map[State]int) error {
	fmt.Fprintf(w, "%s\n%s\n", l.Title, l.Source)
	table := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	fmt.Fprintln(table, "IS\tSTEP\tDEMAND\tEVIDENCE")
	for _, row := range l.Rows {
		state, says := row.judge(ctx, root)
		count[state]++
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\n", state, row.Step, row.Demand, says)
	}
	err := table.Flush()
	fmt.Fprintln(w)
	return err
}

// judge says what became of the demand, and in a line where that is seen, what is missing,
// or why it is a person's.
func (r Row) judge(ctx context.Context, root string) (State, string) {
	places, err := lookAll(ctx, root, r.Evidence)
	if err != nil {
		return Red, strings.ReplaceAll(err.Error(), "\n", "; ")
	}
	if r.Person != "" {
		done, err := lookAll(ctx, root, r.Until)
		if len(r.Until) == 0 || err != nil {
			return Persons, r.Person
		}
		places = strings.TrimPrefix(places+", "+done, ", ")
	}
	if r.Answer != "" {
		return Green, fmt.Sprintf("%s (%s)", r.Answer, places)
	}
	return Green, places
}
