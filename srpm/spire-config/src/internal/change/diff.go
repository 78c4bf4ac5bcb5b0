package change

import (
	"fmt"
	"io"
	"strings"
)

const context = 3

type line struct {
	mark byte
	text string
}

// unified writes how old becomes new, as diff -u does.
func unified(out io.Writer, path string, old, new []byte) error {
	lines := compare(split(old), split(new))
	header := fmt.Sprintf("--- %s\n+++ %s\n", path, path)
	if len(old) == 0 {
		header = fmt.Sprintf("--- /dev/null\n+++ %s\n", path)
	}
	var text strings.Builder
	for _, h := range hunks(lines) {
		text.WriteString(h.String())
	}
	if text.Len() == 0 {
		return nil
	}
	_, err := io.WriteString(out, header+text.String())
	return err
}

func split(text []byte) []string {
	var lines []string
	for one := range strings.Lines(string(text)) {
		lines = append(lines, strings.TrimRight(one, "\r\n"))
	}
	return lines
}

// compare lists the lines of both, by their longest common subsequence. The files are
// small.
func compare(old, new []string) []line {
	length := common(old, new)
	var lines []line
	i, j := 0, 0
	for i < len(old) || j < len(new) {
		switch {
		case i < len(old) && j < len(new) && old[i] == new[j]:
			lines = append(lines, line{' ', old[i]})
			i, j = i+1, j+1
		case j == len(new) || i < len(old) && length[i+1][j] >= length[i][j+1]:
			lines = append(lines, line{'-', old[i]})
			i++
		default:
			lines = append(lines, line{'+', new[j]})
			j++
		}
	}
	return lines
}

// common tells for each two places how long the common subsequence of the rest is.
func common(old, new []string) [][]int {
	length := make([][]int, len(old)+1)
	for i := range length {
		length[i] = make([]int, len(new)+1)
	}
	for i := len(old) - 1; i >= 0; i-- {
		for j := len(new) - 1; j >= 0; j-- {
			if old[i] == new[j] {
				length[i][j] = length[i+1][j+1] + 1
			} else {
				length[i][j] = max(length[i+1][j], length[i][j+1])
			}
		}
	}
	return length
}

type hunk struct {
	oldStart, newStart int
	lines              []line
}

// hunks cuts out the changes, each with some lines around it.
func hunks(lines []line) []hunk {
	var all []hunk
	oldLine, newLine, last := 1, 1, -1
	for i, l := range lines {
		if near(lines, i) {
			if last != i-1 || len(all) == 0 {
				all = append(all, hunk{oldStart: oldLine, newStart: newLine})
			}
			all[len(all)-1].lines = append(all[len(all)-1].lines, l)
			last = i
		}
		if l.mark != '+' {
			oldLine++
		}
		if l.mark != '-' {
			newLine++
		}
	}
	return all
}

func near(lines []line, i int) bool {
	for j := max(0, i-context); j <= min(len(lines)-1, i+context); j++ {
		if lines[j].mark != ' ' {
			return true
		}
	}
	return false
}

func (h hunk) String() string {
	var text strings.Builder
	old, new := 0, 0
	for _, l := range h.lines {
		if l.mark != '+' {
			old++
		}
		if l.mark != '-' {
			new++
		}
		fmt.Fprintf(&text, "%c%s\n", l.mark, l.text)
	}
	return fmt.Sprintf("@@ -%s +%s @@\n%s", span(h.oldStart, old), span(h.newStart, new), text.String())
}

func span(start, count int) string {
	if count == 0 {
		start--
	}
	return fmt.Sprintf("%d,%d", start, count)
}
