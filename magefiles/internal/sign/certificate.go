package sign

import (
	"bytes"
	"crypto/rsa"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp"
	"github.com/ProtonMail/go-crypto/openpgp/armor"
	"github.com/ProtonMail/go-crypto/openpgp/packet"
)

// Types of packets (RFC 9580, section 5).
const (
	packetSignature = 2
	packetKey       = 6
	packetUserID    = 13
	packetSubkey    = 14
)

// Certificate is an OpenPGP public key with its user IDs and subkeys: as much
// of it as is needed to verify what it signs.
type Certificate struct {
	entity *openpgp.Entity
	// binary has the primary key, the user IDs, the subkeys that sign, and all
	// that the key itself has signed on them. Of its self-signatures all stay,
	// unlike in gpg's export-minimal: when a key's life was extended, sqv looks
	// for the one that was in force when something was signed.
	binary []byte
	userID string
}

// Certificates reads certificates, binary or armoured, of which several may
// follow each other.
func Certificates(content []byte) ([]Certificate, error) {
	binary, err := dearmour(content, openpgp.PublicKeyType)
	if err != nil {
		return nil, err
	}
	blocks, err := split(binary)
	if err != nil {
		return nil, err
	}
	var certificates []Certificate
	for _, block := range blocks {
		certificate, err := newCertificate(block)
		if err != nil {
			return nil, err
		}
		certificates = append(certificates, certificate)
	}
	if len(certificates) == 0 {
		return nil, errors.New("there is no OpenPGP key")
	}
	return certificates, nil
}

// dearmour gives the content of all armoured blocks, which must have the given
// type; and content that has none as it is.
func dearmour(content []byte, kind string) ([]byte, error) {
	if !bytes.Contains(content, []byte("-----BEGIN PGP ")) {
		return content, nil
	}
	var binary []byte
	for rest := content; bytes.Contains(rest, []byte("-----BEGIN PGP ")); {
		const end = "-----END PGP "
		i := bytes.Index(rest, []byte(end))
		if i < 0 {
			return nil, errors.New("an armoured OpenPGP block has no end")
		}
		block, after := rest[:i], rest[i:]
		line := bytes.IndexByte(append(after, '\n'), '\n')
		block = append(bytes.Clone(block), after[:line]...)
		rest = after[line:]
		decoded, err := armor.Decode(bytes.NewReader(block))
		if err != nil {
			return nil, errors.New("an armoured OpenPGP block cannot be read")
		}
		if decoded.Type != kind {
			return nil, fmt.Errorf("it is a %s, not a %s", decoded.Type, kind)
		}
		part, err := io.ReadAll(decoded.Body)
		if err != nil {
			return nil, errors.New("an armoured OpenPGP block cannot be read")
		}
		binary = append(binary, part...)
	}
	return binary, nil
}

// split gives the packets of each certificate.
func split(binary []byte) ([][]*packet.OpaquePacket, error) {
	var blocks [][]*packet.OpaquePacket
	reader := packet.NewOpaqueReader(bytes.NewReader(binary))
	for {
		p, err := reader.Next()
		if errors.Is(err, io.EOF) {
			return blocks, nil
		}
		if err != nil {
			return nil, fmt.Errorf("reading OpenPGP keys: %w", err)
		}
		if p.Tag == packetKey {
			blocks = append(blocks, nil)
		}
		if len(blocks) == 0 {
			return nil, errors.New("it does not begin with an OpenPGP public key")
		}
		blocks[len(blocks)-1] = append(blocks[len(blocks)-1], p)
	}
}

func newCertificate(packets []*packet.OpaquePacket) (Certificate, error) {
	entity, err := openpgp.ReadEntity(packet.NewReader(bytes.NewReader(serialize(packets))))
	if err != nil {
		return Certificate{}, fmt.Errorf("reading an OpenPGP key: %w", err)
	}
	if entity.PrimaryKey.Version != 4 {
		return Certificate{}, fmt.Errorf("an OpenPGP key of version %d: rpm and older gpg take version 4 only", entity.PrimaryKey.Version)
	}
	c := Certificate{entity: entity, binary: serialize(needed(packets, entity))}
	if i := slices.IndexFunc(packets, func(p *packet.OpaquePacket) bool { return p.Tag == packetUserID }); i >= 0 {
		c.userID = string(packets[i].Contents)
	}
	return c, nil
}

// needed are the packets that a Certificate keeps.
func needed(packets []*packet.OpaquePacket, entity *openpgp.Entity) []*packet.OpaquePacket {
	var kept []*packet.OpaquePacket
	keep := true // of what the signatures to come are about
	for _, p := range packets {
		switch p.Tag {
		case packetSignature:
			if keep && isOwn(p, entity) {
				kept = append(kept, p)
			}
			continue
		case packetKey, packetUserID:
			keep = true
		case packetSubkey:
			keep = signs(p, entity)
		default:
			keep = false // user attributes, which are pictures; trust
		}
		if keep {
			kept = append(kept, p)
		}
	}
	return kept
}

// isOwn says whether a signature is by the primary key.
func isOwn(p *packet.OpaquePacket, entity *openpgp.Entity) bool {
	parsed, err := p.Parse()
	signature, ok := parsed.(*packet.Signature)
	return err == nil && ok && signature.CheckKeyIdOrFingerprint(entity.PrimaryKey)
}

// signs says whether a subkey may sign.
func signs(p *packet.OpaquePacket, entity *openpgp.Entity) bool {
	parsed, err := p.Parse()
	public, ok := parsed.(*packet.PublicKey)
	return err == nil && ok && slices.ContainsFunc(entity.Subkeys, func(s openpgp.Subkey) bool {
		return bytes.Equal(s.PublicKey.Fingerprint, public.Fingerprint) && s.Sig.FlagsValid && s.Sig.FlagSign
	})
}

func serialize(packets []*packet.OpaquePacket) []byte {
	var binary []byte
	for _, p := range packets {
		binary = append(binary, packetBytes(p.Tag, p.Contents)...)
	}
	return binary
}

// packetBytes is a packet with a header as gpg writes it, in the old format,
// which apt needs to see at the beginning of a keyring (RFC 9580, section
// 4.2.2).
func packetBytes(kind uint8, content []byte) []byte {
	size := len(content)
	if size < 1<<8 {
		return append([]byte{0x80 | kind<<2, byte(size)}, content...)
	}
	return append([]byte{0x80 | kind<<2 | 1, byte(size >> 8), byte(size)}, content...)
}

// Binary is a keyring file of the certificates, in their order.
func Binary(certificates ...Certificate) []byte {
	var binary []byte
	for _, c := range certificates {
		binary = append(binary, c.binary...)
	}
	return binary
}

// Armoured is a keyring file of the certificates, in their order, in one block,
// as gpg exports them.
func Armoured(certificates ...Certificate) []byte {
	return armour(openpgp.PublicKeyType, Binary(certificates...))
}

// armour is binary in OpenPGP's armour, byte for byte as gpg writes it.
func armour(kind string, binary []byte) []byte {
	var b bytes.Buffer
	w, err := armor.Encode(&b, kind, nil)
	if err == nil {
		_, err = w.Write(binary)
	}
	if err = errors.Join(err, w.Close()); err != nil {
		panic(err) // a buffer takes all
	}
	b.WriteByte('\n')
	return b.Bytes()
}

// Fingerprint is the primary key's, 40 upper-case hexadecimal digits.
func (c Certificate) Fingerprint() string { return fingerprint(c.entity.PrimaryKey) }

// UserID is the first user ID, such as Name <mail@example.org>.
func (c Certificate) UserID() string { return c.userID }

func fingerprint(public *packet.PublicKey) string {
	return strings.ToUpper(hex.EncodeToString(public.Fingerprint))
}

func isFingerprint(s string) bool {
	_, err := hex.DecodeString(s)
	return len(s) == 40 && err == nil
}

// key is a primary key or a subkey.
type key struct {
	public  *packet.PublicKey
	end     time.Time // the primary key's, if that is the earlier one; zero for never
	signs   bool
	revoked bool
}

func (k key) fingerprint() string { return fingerprint(k.public) }

func (k key) isRSA(public *rsa.PublicKey) bool {
	own, ok := k.public.PublicKey.(*rsa.PublicKey)
	return ok && own.Equal(public)
}

// keys are the subkeys, the newest first, and then the primary key: gpg's order
// of choice.
func (c Certificate) keys() []key {
	self, _ := c.entity.PrimarySelfSignature()
	primary := key{
		public: c.entity.PrimaryKey, end: end(c.entity.PrimaryKey, self),
		signs: self.FlagsValid && self.FlagSign, revoked: len(c.entity.Revocations) > 0,
	}
	var keys []key
	for _, s := range c.entity.Subkeys {
		keys = append(keys, key{
			public: s.PublicKey, end: earlier(primary.end, end(s.PublicKey, s.Sig)),
			signs: s.Sig.FlagsValid && s.Sig.FlagSign, revoked: primary.revoked || len(s.Revocations) > 0,
		})
	}
	slices.SortStableFunc(keys, func(a, b key) int { return b.public.CreationTime.Compare(a.public.CreationTime) })
	return append(keys, primary)
}

// end is when a key ends, by what is signed about it.
func end(public *packet.PublicKey, self *packet.Signature) time.Time {
	if self.KeyLifetimeSecs == nil || *self.KeyLifetimeSecs == 0 {
		return time.Time{}
	}
	return public.CreationTime.Add(time.Duration(*self.KeyLifetimeSecs) * time.Second)
}

func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// choice says which key of a certificate may sign.
type choice struct {
	named string // fingerprint of a certificate or of one of its keys; empty for any
	at    time.Time
	bits  int
	has   func(key) bool // whether the secret part is there
}

// signingKey is the key to sign with. The error says of each that could be meant
// why it cannot.
func (c Certificate) signingKey(choose choice) (key, error) {
	var reasons []string
	for _, k := range c.keys() {
		named := choose.named == "" || choose.named == c.Fingerprint() || choose.named == k.fingerprint()
		if !named {
			continue
		}
		reason := choose.objection(k)
		if reason == "" {
			return k, nil
		}
		reasons = append(reasons, k.fingerprint()+" "+reason)
	}
	return key{}, fmt.Errorf("the key %s cannot sign: %s", c.Fingerprint(), strings.Join(reasons, "; "))
}

// objection is why a key cannot sign; empty if it can.
func (choose choice) objection(k key) string {
	bits, err := k.public.BitLength()
	_, isRSA := k.public.PublicKey.(*rsa.PublicKey)
	switch {
	case !k.signs:
		return "is not made for signing"
	case k.revoked:
		return "is revoked"
	case !k.end.IsZero() && !choose.at.Before(k.end):
		return "has ended on " + k.end.UTC().Format(time.DateOnly)
	case choose.at.Before(k.public.CreationTime):
		return fmt.Sprintf("was made on %s, after the time of the signature, %s",
			k.public.CreationTime.UTC().Format(time.DateTime), choose.at.Format(time.DateTime))
	case !isRSA || err != nil:
		return "is not an RSA key, which alone every client takes"
	case int(bits) < choose.bits:
		return fmt.Sprintf("has %d bits, and %d is the least", bits, choose.bits)
	case !choose.has(k):
		return "has no secret part here"
	}
	return ""
}

// Ends is when the last of the certificate's keys that sign ends; zero for
// never.
func (c Certificate) Ends() time.Time {
	var last time.Time
	for _, k := range c.keys() {
		if !k.signs || k.revoked {
			continue
		}
		if k.end.IsZero() {
			return time.Time{}
		}
		if k.end.After(last) {
			last = k.end
		}
	}
	return last
}
