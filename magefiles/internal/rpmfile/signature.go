package rpmfile

import "fmt"

// signatures are the tags of OpenPGP signatures, of which rpmsign puts in one
// or two and takes out all (rpm's sign/rpmgensig.c), the one over the header
// first.
var signatures = []uint32{tagRSA, tagDSA, tagPGP, tagGPG, tagPGP5, tagOpenPGP}

// Signature is the OpenPGP signature over the header; of older rpms the one
// over header and payload. It is nil if there is none.
func (f File) Signature() []byte {
	signature, _, err := readHeader(f.signature)
	if err != nil {
		return nil // Read has read it
	}
	for _, tag := range signatures {
		if value := signature.get(tag); value != nil {
			return value
		}
	}
	return nil
}

// Sign is the file with an RSA signature, in OpenPGP's binary form, over its
// Header, in place of any other. rpm 4.14 and later want no more where the
// header has the payload's digest (rpmsign(8), --rpmv3), which Check makes sure
// of.
func (f File) Sign(signature []byte) (File, error) {
	return f.resign(func(h header) header { return h.put(tagRSA, signature) })
}

// Unsigned is the file without signatures, byte for byte as `rpmsign --delsign`
// leaves it on x86_64: it writes the lead anew, with the number of its own
// machine's architecture (rpm's issue 1326).
func (f File) Unsigned() (File, error) {
	return f.resign(func(h header) header { return h })
}

// Trimmed is the file without signatures and without the room that rpmbuild has
// reserved for them. Versions of rpmsign differ in what they make of that room
// when they take a signature out (rpm's issue 2382); without it all of them leave
// the file that there was before.
func (f File) Trimmed() (File, error) {
	return f.resign(func(h header) header { return h.without(tagReserved) })
}

// resign is the file with what put adds to the signature header, without the
// signatures that are there.
func (f File) resign(put func(header) header) (File, error) {
	h, _, err := readHeader(f.signature)
	if err == nil {
		err = h.check(f.signature)
	}
	if err != nil {
		return File{}, fmt.Errorf("the signatures' header: %w", err)
	}
	f.signature = put(h.without(signatures...)).bytes()
	return f, nil
}
