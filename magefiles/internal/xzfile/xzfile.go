// Package xzfile takes .xz files apart into their blocks, and makes one file of
// the blocks of several: what was compressed once is used again, beside whatever
// else. Each block is decompressed by itself, and its check holds only its own
// content. It knows files of one stream with CRC-64 checks (The .xz File Format,
// version 1.2.1).
package xzfile

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math"
	"slices"

	"github.com/ulikunitz/xz"
	"github.com/ulikunitz/xz/lzma"
)

// flags are a stream's: its blocks have CRC-64 checks.
const flags = "\x00\x04"

// Magic numbers and sizes in bytes.
const (
	headerMagic = "\xfd7zXZ\x00"
	footerMagic = "YZ"
	headerSize  = len(headerMagic) + len(flags) + 4
	footerSize  = 4 + 4 + len(flags) + len(footerMagic)
	checkSize   = 8
)

// Block is a part of a file that is decompressed by itself.
type Block struct {
	bytes    []byte // header, compressed content, padding, check
	unpadded uint64 // how many bytes that are without the padding
	size     uint64 // of the content, in bytes
}

// check is the CRC-64 of the block's content.
func (b Block) check() uint64 { return binary.LittleEndian.Uint64(b.bytes[len(b.bytes)-checkSize:]) }

// Pack compresses content, on one processor and slowly: it is for small ones. The
// result depends on nothing but the content and this program.
func Pack(content []byte) ([]byte, error) {
	var packed bytes.Buffer
	// A larger dictionary than the content, or than xz's own 8 MiB, is of no use.
	config := xz.WriterConfig{DictCap: min(max(len(content), lzma.MinDictCap), 8<<20), CheckSum: xz.CRC64}
	w, err := config.NewWriter(&packed)
	if err != nil {
		return nil, err
	}
	_, err = w.Write(content)
	err = errors.Join(err, w.Close())
	return packed.Bytes(), err
}

// Blocks takes a file apart, which it does not copy. It decompresses nothing, and
// checks nothing but what says where the blocks are.
func Blocks(file []byte) ([]Block, error) {
	if !bytes.HasPrefix(file, header()) || len(file) < headerSize+footerSize {
		return nil, errors.New("this is no .xz file with CRC-64 checks")
	}
	end := len(file) - footerSize
	size := (int(binary.LittleEndian.Uint32(file[end+4:])) + 1) * 4
	if size > end-headerSize || !bytes.Equal(file[end:], footer(size)) {
		return nil, errors.New("an .xz file is cut short, or has more than one stream")
	}
	blocks, err := readIndex(file[end-size : end])
	if err != nil {
		return nil, err
	}
	rest := file[headerSize : end-size]
	for i, block := range blocks {
		if block.unpadded <= checkSize || block.unpadded > uint64(len(rest)) {
			return nil, errors.New("a block of an .xz file lies outside")
		}
		length := int(block.unpadded) + padding(int(block.unpadded))
		if length > len(rest) {
			return nil, errors.New("a block of an .xz file lies outside")
		}
		blocks[i].bytes, rest = rest[:length], rest[length:]
	}
	if len(rest) > 0 {
		return nil, errors.New("the index of an .xz file leaves blocks out")
	}
	return blocks, nil
}

// Join is a file of the blocks, in their order.
func Join(blocks ...[]Block) []byte {
	all := slices.Concat(blocks...)
	parts := [][]byte{header()}
	for _, block := range all {
		parts = append(parts, block.bytes)
	}
	index := writeIndex(all)
	return slices.Concat(append(parts, index, footer(len(index)))...)
}

func header() []byte { return withSum([]byte(headerMagic), []byte(flags)) }

// footer ends a file with an index of the given size.
func footer(index int) []byte {
	sizes := binary.LittleEndian.AppendUint32(nil, uint32(index/4-1))
	sizes = append(sizes, flags...)
	sum := binary.LittleEndian.AppendUint32(nil, crc32.ChecksumIEEE(sizes))
	return slices.Concat(sum, sizes, []byte(footerMagic))
}

// withSum is what goes before, the content, and the content's CRC-32.
func withSum(before, content []byte) []byte {
	return binary.LittleEndian.AppendUint32(slices.Concat(before, content), crc32.ChecksumIEEE(content))
}

// padding is how many bytes bring size to a multiple of four.
func padding(size int) int { return (4 - size%4) % 4 }

// writeIndex is the list of the blocks' sizes. Its numbers have seven bits a byte,
// as binary's Uvarint has them.
func writeIndex(blocks []Block) []byte {
	index := binary.AppendUvarint([]byte{0}, uint64(len(blocks)))
	for _, block := range blocks {
		index = binary.AppendUvarint(index, block.unpadded)
		index = binary.AppendUvarint(index, block.size)
	}
	return withSum(nil, append(index, make([]byte, padding(len(index)))...))
}

// readIndex gives the sizes of all blocks.
func readIndex(index []byte) (blocks []Block, err error) {
	if len(index) == 0 || index[0] != 0 {
		return nil, errors.New("there is no index in an .xz file")
	}
	rest := index[1:]
	number := func() (n uint64) {
		n, size := binary.Uvarint(rest)
		if size <= 0 || n > math.MaxInt64 {
			err, size = errors.New("a number in the index of an .xz file does not end"), len(rest)
		}
		rest = rest[max(size, 0):]
		return n
	}
	for range number() {
		block := Block{unpadded: number(), size: number()}
		if err != nil {
			return nil, err
		}
		blocks = append(blocks, block)
	}
	if err == nil && !bytes.Equal(writeIndex(blocks), index) {
		err = fmt.Errorf("the index of an .xz file, of %d blocks, is damaged", len(blocks))
	}
	return blocks, err
}
