package pkgdef

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"
)

// urlForm is narrow, because an address becomes a line of apt's, dnf's and
// zypper's configuration, in each of which other characters mean something.
// Plain HTTP is for rehearsals on one machine.
var urlForm = regexp.MustCompile(`^(https://[a-z0-9]([a-z0-9.-]*[a-z0-9])?|http://127\.0\.0\.1|http://localhost)(:[1-9][0-9]{0,4})?(/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)*$`)

// CheckURL refuses an address of the archive that is not plain.
func CheckURL(url string) error {
	if !urlForm.MatchString(url) {
		return fmt.Errorf("address %q is not of the form https://HOST/PATH, with nothing but letters, digits and . _ ~ - in it and no slash at the end (http:// is for 127.0.0.1 and localhost only)", url)
	}
	return nil
}

// Certificates are all keys that are to be trusted, in both forms.
type Certificates struct {
	Binary   []byte // OpenPGP packets, one certificate behind the other
	Armoured []byte // one armoured block a certificate: rpm takes no second one from a block
	// Raw are files of their keys as apk reads them, by their names.
	Raw map[string][]byte
}

const (
	armourBegin  = "-----BEGIN "
	armourPublic = armourBegin + "PGP PUBLIC KEY BLOCK-----\n"
)

// check refuses what does not begin as a public key: nothing else must ever
// get into a package.
func (c Certificates) check() error {
	if len(c.Binary) == 0 || !beginsPublic(c.Binary[0]) {
		return errors.New("the binary keyring does not begin with a public key")
	}
	blocks, public := bytes.Count(c.Armoured, []byte(armourBegin)), bytes.Count(c.Armoured, []byte(armourPublic))
	if blocks != public || !bytes.HasPrefix(c.Armoured, []byte(armourPublic)) {
		return errors.New("the armoured keyring has something else in it than public keys")
	}
	if len(c.Raw) == 0 {
		return errors.New("there is no key for apk")
	}
	for name, key := range c.Raw {
		if bytes.Count(key, []byte(armourBegin)) != 1 || !bytes.HasPrefix(key, []byte("-----BEGIN PUBLIC KEY-----\n")) || !rawForm.MatchString(name) {
			return fmt.Errorf("%q is no file of one public key", name)
		}
	}
	return nil
}

// RawKey ends the names of files with keys for apk.
const RawKey = ".rsa.pub"

// rawForm is that of the names of files for apk: fingerprints.
var rawForm = regexp.MustCompile(`^[0-9a-f]{40}` + regexp.QuoteMeta(RawKey) + `$`)

// beginsPublic knows the first byte of a public key, a packet of type 6, in the
// present and in the older format (RFC 9580, section 4.2).
func beginsPublic(header byte) bool {
	const present, older, lengthType = 0xC0 | 6, 0x80 | 6<<2, 3
	return header == present || header&^lengthType == older
}
