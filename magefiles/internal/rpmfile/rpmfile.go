// Package rpmfile takes an rpm file apart, changes what must be changed in its
// headers, and writes all else as it was. It knows rpm's version 4 of the
// format.
package rpmfile

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// leadSize is the size of the lead in bytes. The parts of an rpm file are, as
// its description has them (rpm's docs/manual/format_v4.md): a lead; a
// signature header, padded to eight bytes; the header; the payload.
const leadSize = 96

// Tags (rpm's tags.md): the regions, which cover all entries of their header and
// end in a trailer of their own; the signature header's; the header's.
const (
	tagSignatures = 62 // region
	tagImmutable  = 63 // region

	tagDSA      = 267  // signature over the header
	tagRSA      = 268  // signature over the header
	tagSHA256   = 273  // of the header, in hexadecimal
	tagOpenPGP  = 278  // signatures over the header, in base64: rpm 6
	tagSize     = 1000 // of header and payload, in bytes
	tagPGP      = 1002 // signature over header and payload
	tagGPG      = 1005 // signature over header and payload
	tagPGP5     = 1006 // signature over header and payload
	tagReserved = 1008 // room for signatures

	tagFileDigests   = 1035 // in hexadecimal
	tagFileFlags     = 1037
	tagSourceRPM     = 1044
	tagRequireFlags  = 1048
	tagRequireName   = 1049
	tagDirIndexes    = 1116 // of each file, in tagDirNames
	tagBaseNames     = 1117
	tagDirNames      = 1118
	tagCompressor    = 1125 // of the payload
	tagPayloadDigest = 5092 // of the payload, in hexadecimal
	tagPayloadAlgo   = 5093 // OpenPGP's number of its algorithm
)

// File is an rpm file taken apart. Its methods leave it as it is.
type File struct {
	lead []byte
	// signature and main are the two headers, as they are stored.
	signature, main []byte
	payload         []byte
}

// Read takes content apart, which it does not copy. It checks no digest.
func Read(content []byte) (File, error) {
	if len(content) < leadSize {
		return File{}, errors.New("an rpm is cut short")
	}
	_, size, err := readHeader(content[leadSize:])
	if err != nil {
		return File{}, err
	}
	end := leadSize + size
	begin := end + padding(size, 8)
	if begin > len(content) {
		return File{}, errors.New("an rpm is cut short")
	}
	if _, size, err = readHeader(content[begin:]); err != nil {
		return File{}, err
	}
	return File{
		lead: content[:leadSize], signature: content[leadSize:end],
		main: content[begin : begin+size], payload: content[begin+size:],
	}, nil
}

// Bytes is the whole file.
func (f File) Bytes() []byte {
	return slices.Concat(f.lead, f.signature, make([]byte, padding(len(f.signature), 8)), f.main, f.payload)
}

// Payload is the compressed archive.
func (f File) Payload() []byte { return f.payload }

// Header is the stored header: what a header signature is made over.
func (f File) Header() []byte { return f.main }

// Check compares header and payload with the SHA-256 digests that the file has
// of them. An rpm without one of the two is an error: a signature over the
// header alone would not hold its payload.
func (f File) Check() error {
	signature, _, err := readHeader(f.signature)
	if err != nil {
		return err
	}
	main, _, err := readHeader(f.main)
	if err != nil {
		return err
	}
	const sha256Number = 8
	if algorithm := main.get(tagPayloadAlgo); len(algorithm) != 4 || binary.BigEndian.Uint32(algorithm) != sha256Number {
		return errors.New("the rpm has no SHA-256 digest of its payload")
	}
	return errors.Join(
		same("header", f.main, signature.get(tagSHA256)),
		same("payload", f.payload, main.get(tagPayloadDigest)))
}

func same(what string, content, digest []byte) error {
	sum := sha256.Sum256(content)
	if !bytes.Equal(text(hex.EncodeToString(sum[:])), digest) {
		return fmt.Errorf("checksum mismatch: the rpm's %s is not what its SHA-256 digest says", what)
	}
	return nil
}

// Flags of files, in tagFileFlags.
const (
	flagConfig    = 1 << 0
	flagNoReplace = 1 << 4
	flagGhost     = 1 << 6
)

// Mended is the file with another name of its source package, with its ghosts
// as configuration, which rpm never removes, and with digest and size of the
// header as they are then. A signed rpm is an error: its
// signature would not hold any more.
func (f File) Mended(name string) (File, error) {
	return f.amended(f.payload, func(main header) (header, error) {
		main, err := main.with(tagSourceRPM, text(name))
		return main.keepingGhosts(), err
	})
}

// Summed is the file with another checksum of one of its files, in hexadecimal. A signed
// rpm is an error.
func (f File) Summed(path, sum string) (File, error) {
	return f.amended(f.payload, func(main header) (header, error) {
		list := func(tag uint32) []string {
			return strings.Split(strings.TrimSuffix(string(main.get(tag)), "\x00"), "\x00")
		}
		dirs, names, sums, indexes := list(tagDirNames), list(tagBaseNames), list(tagFileDigests), main.get(tagDirIndexes)
		if len(sums) != len(names) || len(indexes) != 4*len(names) {
			return nil, errors.New("an rpm header says not as much of every file")
		}
		for i, name := range names {
			if dir := int(binary.BigEndian.Uint32(indexes[4*i:])); dir < len(dirs) && dirs[dir]+name == path {
				sums[i] = sum
				return main.with(tagFileDigests, text(strings.Join(sums, "\x00")))
			}
		}
		return nil, fmt.Errorf("an rpm header knows no file %q", path)
	})
}

// Repacked is the file with the same payload otherwise compressed, and with what
// it requires of rpm marked as that. A signed rpm is an error.
func (f File) Repacked(payload []byte, compressor string) (File, error) {
	return f.amended(payload, func(main header) (header, error) {
		main, err := main.with(tagCompressor, text(compressor))
		if err != nil {
			return nil, err
		}
		sum := sha256.Sum256(payload)
		main, err = main.with(tagPayloadDigest, text(hex.EncodeToString(sum[:])))
		return main.markingFeatures(), err
	})
}

// amended is the file with another payload and a changed header, and with digest
// and size as they are then.
func (f File) amended(payload []byte, change func(header) (header, error)) (File, error) {
	signature, main, err := f.headers()
	if err != nil {
		return File{}, err
	}
	if f.Signature() != nil {
		return File{}, errors.New("the rpm is signed")
	}
	if main, err = change(main); err != nil {
		return File{}, err
	}
	f.main, f.payload = main.bytes(), payload
	sum := sha256.Sum256(f.main)
	if signature, err = signature.with(tagSHA256, text(hex.EncodeToString(sum[:]))); err != nil {
		return File{}, err
	}
	size := binary.BigEndian.AppendUint32(nil, uint32(len(f.main)+len(f.payload)))
	if signature, err = signature.with(tagSize, size); err != nil {
		return File{}, err
	}
	f.signature = signature.bytes()
	return f, nil
}

// keepingGhosts is the header with %ghost as %ghost %config(noreplace).
func (h header) keepingGhosts() header {
	return h.flagging(tagFileFlags, func(_ int, flags uint32) uint32 {
		if flags&flagGhost != 0 {
			flags |= flagConfig | flagNoReplace
		}
		return flags
	})
}

// flagFeature is of a requirement that rpm itself answers, in tagRequireFlags.
const flagFeature = 1 << 24

// markingFeatures is the header with each rpmlib(NAME) that it requires marked as
// a feature of rpm, and not of a package.
func (h header) markingFeatures() header {
	names := bytes.Split(h.get(tagRequireName), []byte{0})
	return h.flagging(tagRequireFlags, func(i int, flags uint32) uint32 {
		if i < len(names) && bytes.HasPrefix(names[i], []byte("rpmlib(")) {
			flags |= flagFeature
		}
		return flags
	})
}

// flagging is the header with other flags for each of the things that a tag has
// flags of; the same where it has no such tag.
func (h header) flagging(tag uint32, change func(i int, flags uint32) uint32) header {
	h = slices.Clone(h)
	at := h.find(tag)
	if at < 0 {
		return h
	}
	flags := bytes.Clone(h[at].value)
	for i := range len(flags) / 4 {
		word := flags[4*i:]
		binary.BigEndian.PutUint32(word, change(i, binary.BigEndian.Uint32(word)))
	}
	h[at].value = flags
	return h
}

// headers are both headers, of which rpm itself would write the same bytes.
func (f File) headers() (signature, main header, err error) {
	if signature, _, err = readHeader(f.signature); err == nil {
		err = signature.check(f.signature)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("the signatures' header: %w", err)
	}
	if main, _, err = readHeader(f.main); err == nil {
		err = main.check(f.main)
	}
	return signature, main, err
}
