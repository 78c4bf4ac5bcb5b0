package kit

import "context"

// Signed is a kind of files that have a place for a signature.
type Signed struct {
	Suffix string // of their names
	// Sign makes the signed file at to, and Verify is an error where a file's signature
	// is not one that is trusted.
	Sign   func(ctx context.Context, by Signer, from, to string) error
	Verify func(ctx context.Context, by Verifier, file string) error
}

// Signer signs such files, as package sign does.
type Signer interface {
	RPM(ctx context.Context, from, to string) error
	DSC(ctx context.Context, from, to string) error
	// Changes takes the place of the signed .dsc, which it names.
	Changes(ctx context.Context, from, to, dsc string) error
	APK(ctx context.Context, from, to string) error
}

// Verifier knows whose signatures are trusted.
type Verifier interface {
	RPM(ctx context.Context, file string) error
	APK(ctx context.Context, file string) error
	// Clear gives the text of one in the cleartext signature framework.
	Clear(content []byte) ([]byte, error)
}
