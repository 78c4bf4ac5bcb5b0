package xzfile

import (
	"errors"
	"hash"
	"hash/crc64"
)

// Match makes sure that what is written to it is what blocks hold, by their sizes
// and checks.
type Match struct {
	blocks []Block // the one that is being compared, and those after it
	left   uint64  // of the first one, in bytes
	sum    hash.Hash64
	wrong  bool
}

// NewMatch compares with the content of blocks.
func NewMatch(blocks []Block) *Match {
	m := &Match{blocks: blocks, sum: crc64.New(crc64.MakeTable(crc64.ECMA))}
	m.begin()
	return m
}

func (m *Match) begin() {
	m.sum.Reset()
	if len(m.blocks) > 0 {
		m.left = m.blocks[0].size
	}
}

// Write never fails: Done tells.
func (m *Match) Write(p []byte) (int, error) {
	size := len(p)
	for len(p) > 0 {
		if len(m.blocks) == 0 {
			m.wrong = true
			break
		}
		part := p[:min(uint64(len(p)), m.left)]
		_, _ = m.sum.Write(part) // never fails
		p, m.left = p[len(part):], m.left-uint64(len(part))
		if m.left == 0 {
			m.wrong = m.wrong || m.sum.Sum64() != m.blocks[0].check()
			m.blocks = m.blocks[1:]
			m.begin()
		}
	}
	return size, nil
}

// Done is an error unless what was written is the content of all blocks.
func (m *Match) Done() error {
	if m.wrong || len(m.blocks) > 0 {
		return errors.New("the blocks of an .xz file hold something else")
	}
	return nil
}
