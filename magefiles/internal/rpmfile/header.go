package rpmfile

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
)

// A header is a fixed start, an index of entries, and a store of their values
// (rpm's docs/manual/format_header.md).
const (
	startSize = 16
	entrySize = 16
)

// Types of values.
const (
	typeInt16       = 3
	typeInt32       = 4
	typeInt64       = 5
	typeString      = 6
	typeBinary      = 7
	typeStringArray = 8
	typeI18NString  = 9
)

// headerMagic begins a header, version 1.
var headerMagic = []byte{0x8e, 0xad, 0xe8, 0x01, 0, 0, 0, 0}

// header is one header of an rpm. Its region is the first entry.
type header []entry

// entry is one tag with its value as it is stored.
type entry struct {
	tag, kind, count uint32
	value            []byte
}

// width is how many bytes a number of the type has; 1 for all else.
func width(kind uint32) int {
	switch kind {
	case typeInt16:
		return 2
	case typeInt32:
		return 4
	case typeInt64:
		return 8
	}
	return 1
}

// readHeader takes the header at the beginning of content, and gives its size
// in bytes.
func readHeader(content []byte) (h header, size int, err error) {
	if len(content) < startSize || !bytes.HasPrefix(content, headerMagic) {
		return nil, 0, errors.New("there is no rpm header")
	}
	count, length := binary.BigEndian.Uint32(content[8:]), binary.BigEndian.Uint32(content[12:])
	begin := startSize + entrySize*uint64(count)
	if begin+uint64(length) > uint64(len(content)) {
		return nil, 0, errors.New("an rpm header is cut short")
	}
	store := content[begin : begin+uint64(length)]
	for i := range int(count) {
		word := func(n int) uint32 { return binary.BigEndian.Uint32(content[startSize+entrySize*i+4*n:]) }
		e := entry{tag: word(0), kind: word(1), count: word(3)}
		if e.value, err = value(store, word(2), e.kind, e.count); err != nil {
			return nil, 0, fmt.Errorf("tag %d of an rpm header: %w", e.tag, err)
		}
		h = append(h, e)
	}
	return h, int(begin) + int(length), nil
}

// value cuts one entry's value out of the store.
func value(store []byte, offset, kind, count uint32) ([]byte, error) {
	if uint64(offset) > uint64(len(store)) {
		return nil, errors.New("its value lies outside")
	}
	rest := store[offset:]
	size := uint64(width(kind)) * uint64(count)
	if kind == typeString || kind == typeStringArray || kind == typeI18NString {
		size = 0
		for range count {
			end := bytes.IndexByte(rest[size:], 0)
			if end < 0 {
				return nil, errors.New("its text does not end")
			}
			size += uint64(end) + 1
		}
	}
	if size > uint64(len(rest)) {
		return nil, errors.New("its value lies outside")
	}
	return rest[:size], nil
}

// bytes is the header as rpm stores it: the values in the order of the index,
// numbers aligned to their width, and the region's trailer last.
func (h header) bytes() []byte {
	index, store := new(bytes.Buffer), new(bytes.Buffer)
	region := h.hasRegion()
	for i, e := range h {
		if i == 0 && region {
			index.Write(e.index(h.trailerOffset()))
			continue
		}
		store.Write(make([]byte, padding(store.Len(), width(e.kind))))
		index.Write(e.index(store.Len()))
		store.Write(e.value)
	}
	if region {
		// The trailer is an entry whose offset leads back over the whole index.
		store.Write(h[0].index(-entrySize * len(h)))
	}
	start := binary.BigEndian.AppendUint32(bytes.Clone(headerMagic), uint32(len(h)))
	start = binary.BigEndian.AppendUint32(start, uint32(store.Len()))
	return slices.Concat(start, index.Bytes(), store.Bytes())
}

func (h header) hasRegion() bool {
	return len(h) > 0 && (h[0].tag == tagSignatures || h[0].tag == tagImmutable)
}

// index is the entry's line of the index.
func (e entry) index(offset int) []byte {
	var line []byte
	for _, word := range []uint32{e.tag, e.kind, uint32(offset), e.count} {
		line = binary.BigEndian.AppendUint32(line, word)
	}
	return line
}

// trailerOffset is how long all values but the region's are.
func (h header) trailerOffset() int {
	size := 0
	for _, e := range h[1:] {
		size += padding(size, width(e.kind)) + len(e.value)
	}
	return size
}

// padding is how many bytes bring offset to a multiple of width.
func padding(offset, width int) int { return (width - offset%width) % width }

// check makes sure that stored, which h was read from, is what rpm itself
// writes: with other bytes, whoever reads and writes the header changes it.
func (h header) check(stored []byte) error {
	inOrder := slices.IsSortedFunc(h, func(a, b entry) int { return int(a.tag) - int(b.tag) })
	if !h.hasRegion() || !inOrder || !bytes.Equal(h.bytes(), stored) {
		return errors.New("an rpm header is not in the form that rpm writes")
	}
	return nil
}

// get is the value of a tag; nil if there is none.
func (h header) get(tag uint32) []byte {
	if i := h.find(tag); i >= 0 {
		return h[i].value
	}
	return nil
}

func (h header) find(tag uint32) int {
	return slices.IndexFunc(h, func(e entry) bool { return e.tag == tag })
}

// with is the header with another value for a tag that is there, of the same
// type and count.
func (h header) with(tag uint32, value []byte) (header, error) {
	i := h.find(tag)
	if i < 0 {
		return nil, fmt.Errorf("an rpm header has no tag %d", tag)
	}
	h = slices.Clone(h)
	h[i].value = value
	return h, nil
}

// put is the header with one more entry, of bytes, in the order of tags.
func (h header) put(tag uint32, value []byte) header {
	i := slices.IndexFunc(h, func(e entry) bool { return e.tag > tag })
	if i < 0 {
		i = len(h)
	}
	return slices.Insert(slices.Clone(h), i, entry{tag, typeBinary, uint32(len(value)), value})
}

// without is the header without the given tags.
func (h header) without(tags ...uint32) header {
	return slices.DeleteFunc(slices.Clone(h), func(e entry) bool { return slices.Contains(tags, e.tag) })
}

func text(s string) []byte { return append([]byte(s), 0) }
