// Package manifest lists what a package file would do to a machine, item by
// item, and compares two of them. What it leaves out is how the file is made:
// order, compression, and what can be worked out from the rest.
package manifest

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Manifest is a package's items: what it is about, such as "file /etc/x",
// "scriptlet postinst" or "requires /bin/sh", and what the package has there.
type Manifest map[string]string

// Difference is an item that two packages do not have alike.
type Difference struct {
	Item        string
	Here, There string // Absent where it is not there
}

// Absent stands for an item that one of the packages does not have.
const Absent = "(absent)"

// String is the difference in one line or, where a value has several, in its
// first line that differs.
func (d Difference) String() string {
	here, there := d.Here, d.There
	one, two := strings.Split(here, "\n"), strings.Split(there, "\n")
	for i := range min(len(one), len(two)) {
		if one[i] != two[i] {
			here, there = one[i], two[i]
			break
		}
	}
	return fmt.Sprintf("%s: %s, rebuilt: %s", d.Item, brief(here), brief(there))
}

func brief(text string) string {
	if text == "" {
		return `""`
	}
	text = strings.ReplaceAll(text, "\n", `\n`)
	if len(text) > 160 {
		text = text[:160] + "..."
	}
	return text
}

// Compare lists all differences, by item.
func Compare(here, there Manifest) []Difference {
	all := maps.Clone(here)
	maps.Copy(all, there)
	var differences []Difference
	for _, item := range slices.Sorted(maps.Keys(all)) {
		one, two := valueOf(here, item), valueOf(there, item)
		if one != two {
			differences = append(differences, Difference{item, one, two})
		}
	}
	return differences
}

func valueOf(m Manifest, item string) string {
	if value, ok := m[item]; ok {
		return value
	}
	return Absent
}
