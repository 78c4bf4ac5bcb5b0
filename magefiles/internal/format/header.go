package format

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
)

// The parts of an rpm file, as its format's description has them (rpm's
// docs/manual/format_v4.md, format_header.md): a lead; a signature header,
// padded to eight bytes; the header; the payload. A header is a fixed start,
// an index of entries, and a store of their values.
const (
	leadSize  = 96
	startSize = 16
	entrySize = 16
)

// Tags (rpm's tags.md). The first two are in the signature header; a region
// covers all entries of its header, and ends in a trailer of its own.
const (
	tagSHA256    = 273  // of the header, in hexadecimal
	tagSize      = 1000 // of header and payload, in bytes
	tagSignature = 62   // region
	tagImmutable = 63   // region
	tagSourceRPM = 1044
)

// Types of values.
const (
	typeInt16       = 3
	typeInt32       = 4
	typeInt64       = 5
	typeString      = 6
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

// bytes is the header as it is stored: numbers aligned to their width, and the
// region's trailer last.
func (h header) bytes() []byte {
	index, store := new(bytes.Buffer), new(bytes.Buffer)
	put := func(e entry, offset int) {
		for _, word := range []uint32{e.tag, e.kind, uint32(offset), e.count} {
			index.Write(binary.BigEndian.AppendUint32(nil, word))
		}
	}
	region := len(h) > 0 && (h[0].tag == tagSignature || h[0].tag == tagImmutable)
	for i, e := range h {
		if i == 0 && region {
			put(e, trailerOffset(h))
			continue
		}
		store.Write(make([]byte, padding(store.Len(), width(e.kind))))
		put(e, store.Len())
		store.Write(e.value)
	}
	if region {
		store.Write(h[0].value)
	}
	start := binary.BigEndian.AppendUint32(bytes.Clone(headerMagic), uint32(len(h)))
	start = binary.BigEndian.AppendUint32(start, uint32(store.Len()))
	return slices.Concat(start, index.Bytes(), store.Bytes())
}

// trailerOffset is how long all values but the region's are.
func trailerOffset(h header) int {
	size := 0
	for _, e := range h[1:] {
		size += padding(size, width(e.kind)) + len(e.value)
	}
	return size
}

// padding is how many bytes bring offset to a multiple of width.
func padding(offset, width int) int { return (width - offset%width) % width }

// set gives a tag that is there another value of the same type and count.
func (h header) set(tag uint32, value []byte) error {
	for i := range h {
		if h[i].tag == tag {
			h[i].value = value
			return nil
		}
	}
	return fmt.Errorf("an rpm header has no tag %d", tag)
}

func text(s string) []byte { return append([]byte(s), 0) }

// setSourceRPM changes the header's name of the source package, and the digest
// and size of the header, in an rpm that is not signed.
func setSourceRPM(content []byte, name string) ([]byte, error) {
	if len(content) < leadSize {
		return nil, errors.New("an rpm is cut short")
	}
	signature, size, err := readHeader(content[leadSize:])
	if err != nil {
		return nil, err
	}
	begin := leadSize + size + padding(size, 8)
	if begin > len(content) {
		return nil, errors.New("an rpm is cut short")
	}
	main, size, err := readHeader(content[begin:])
	if err != nil {
		return nil, err
	}
	payload := content[begin+size:]
	if err := main.set(tagSourceRPM, text(name)); err != nil {
		return nil, err
	}
	header := main.bytes()
	sum := sha256.Sum256(header)
	err = errors.Join(
		signature.set(tagSHA256, text(hex.EncodeToString(sum[:]))),
		signature.set(tagSize, binary.BigEndian.AppendUint32(nil, uint32(len(header)+len(payload)))))
	signed := signature.bytes()
	return slices.Concat(content[:leadSize], signed, make([]byte, padding(len(signed), 8)), header, payload), err
}
