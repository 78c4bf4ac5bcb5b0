package sign

import (
	"bytes"
	"context"
	"crypto"
	"crypto/rand"
	"crypto/sha512"
	"encoding/binary"
	"fmt"
	"math/bits"
	"slices"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp"
)

// builder makes OpenPGP signatures of what a crypto.Signer makes of digests:
// byte for byte those that gpg makes with the same key at the same time. The
// library's own differ in the packet's header and in the order of what is in it.
type builder struct {
	key     key
	time    time.Time
	service func(context.Context) crypto.Signer
}

// Types of signatures (RFC 9580, section 5.2.1).
const (
	ofBinary = 0x00
	ofText   = 0x01
)

func (b builder) detached(ctx context.Context, message []byte) ([]byte, error) {
	return b.sign(ctx, ofBinary, message)
}

func (b builder) clear(ctx context.Context, text []byte) ([]byte, error) {
	shown, signed := cleartext(text)
	signature, err := b.sign(ctx, ofText, signed)
	if err != nil {
		return nil, err
	}
	return slices.Concat([]byte("-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA512\n\n"), shown,
		armour(openpgp.SignatureType, signature)), nil
}

// cleartext is a text as the cleartext signature framework shows it, and as it
// is signed: without the spaces at the lines' ends and without the last line's
// end (RFC 9580, section 7).
func cleartext(text []byte) (shown, signed []byte) {
	for i, line := range bytes.Split(bytes.TrimSuffix(text, []byte("\n")), []byte("\n")) {
		if i > 0 {
			signed = append(signed, "\r\n"...)
		}
		signed = append(signed, bytes.TrimRight(line, " \t\r")...)
		// "From ", because mail programs change such lines.
		if bytes.HasPrefix(line, []byte("-")) || bytes.HasPrefix(line, []byte("From ")) {
			shown = append(shown, "- "...)
		}
		shown = append(append(shown, line...), '\n')
	}
	return shown, signed
}

// sign is a signature packet of version 4 (RFC 9580, sections 5.2.3 and 5.2.4):
// hashed are the key's fingerprint and the time; the key's id stands beside.
func (b builder) sign(ctx context.Context, kind byte, message []byte) ([]byte, error) {
	const version, rsa, sha512Number = 4, 1, 10
	fingerprint := b.key.public.Fingerprint
	hashed := slices.Concat([]byte{22, 33, version}, fingerprint, []byte{5, 2}, number32(seconds(b.time)))
	head := slices.Concat([]byte{version, kind, rsa, sha512Number}, number16(len(hashed)), hashed)
	digest := sha512.Sum512(slices.Concat(message, head, []byte{version, 0xff}, number32(uint32(len(head)))))
	signature, err := b.service(ctx).Sign(rand.Reader, digest[:], crypto.SHA512)
	if err != nil {
		return nil, fmt.Errorf("the key service: %w", err)
	}
	id := fingerprint[len(fingerprint)-8:]
	body := slices.Concat(head, number16(10), []byte{9, 16}, id, digest[:2], integer(signature))
	return packetBytes(packetSignature, body), nil
}

// seconds is a time as OpenPGP has it: seconds since 1970 (section 3.5).
func seconds(t time.Time) uint32 { return uint32(t.Unix()) }

// integer is a number with its length in bits before it (section 3.2).
func integer(number []byte) []byte {
	number = bytes.TrimLeft(number, "\x00")
	size := 8 * len(number)
	if size > 0 {
		size -= bits.LeadingZeros8(number[0])
	}
	return append(number16(size), number...)
}

func number16(n int) []byte { return binary.BigEndian.AppendUint16(nil, uint16(n)) }

func number32(n uint32) []byte { return binary.BigEndian.AppendUint32(nil, n) }
