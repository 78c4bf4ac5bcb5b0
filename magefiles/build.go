//go:build mage

// Targets that build, check and release SPIRE's packages.
package main

import (
	"context"
	"fmt"
	"os"
	"strings"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pipeline"
	shipped "github.com/spiffe-experimental/spire-packages/magefiles/internal/pipeline/verify"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/sign"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/stepfile"
)

// Build makes all packages into dist/.
//
// Flags: -source=spire, one of the sources below srpm/ (or SPIRE_SOURCE), by default all
// that do not wait (see plan);
// -version=1.13.0 (SPIRE_VERSION), which is SPIRE's unless -source says otherwise;
// -arch=amd64,arm64 (SPIRE_ARCH); -source=./DIR for a local source directory, and
// -unchecked to go on without the checksum database (SPIRE_UNCHECKED=1); packages of the
// last two are marked as unverified. -packages=spire-agent makes some packages only, also
// where a dependency of the others cannot be had; such a part is never signed.
// -formats=deb,dsc makes files of some formats only, and of others than a release has:
// of deb, rpm, dsc, srpm, and apk and archlinux (SPIRE_FORMATS).
func Build(ctx context.Context, version, arch, source *string, unchecked *bool, packages, formats *string) error {
	o := options(version, arch, source, unchecked)
	o.Packages = list(packages, "")
	return build(ctx, o, list(formats, "SPIRE_FORMATS")...)
}

// Compile makes the binaries only, with the flags of build.
func Compile(ctx context.Context, version, arch, source *string, unchecked *bool) error {
	return checkout().ForEach(options(version, arch, source, unchecked), func(o pipeline.Options) error {
		binaries, err := checkout().Compile(ctx, o)
		for _, binary := range binaries {
			fmt.Printf("%s  %s\n", binary.SHA256, binary.Path)
		}
		return err
	})
}

// List shows the files that build would make, and which of them are there.
func List(version, arch, source *string) error {
	return checkout().ForEach(options(version, arch, source, nil), func(o pipeline.Options) error {
		return checkout().List(o, os.Stdout)
	})
}

// Vouch builds, and prints the digests of all that was made, for sign on another machine.
//
// Flags as for build. In a workflow the output of its step that is named after
// the architecture has them on one line, for SPIRE_REBUILT of the job that signs, which
// takes a job's outputs as JSON, too.
func Vouch(ctx context.Context, version, arch, source *string) error {
	o := options(version, arch, source, nil)
	digests, err := checkout().Vouch(ctx, o)
	if err != nil {
		return err
	}
	fmt.Print(digests)
	return stepfile.SetOutputs(strings.Join(o.Arches, "_") + "=" + strings.Join(strings.Fields(digests), " ") + "\n")
}

// Sign builds, and makes of it the signed folder with all files to ship.
//
// Only exactly the files of a release are signed. What others have built, in the
// folders of SPIRE_PREBUILT, and whatever a workflow has, must have the digests that
// vouch has printed on another machine, in SPIRE_REBUILT.
//
// The key is that of SPIRE_SIGN_KEY (a fingerprint, in your gpg), or of
// SPIRE_SIGN_SECRET or SPIRE_SIGN_SECRET_FILE, and SPIRE_SIGN_PASSPHRASE (an armoured
// secret key), or a key service's: SPIRE_SIGN_COMMAND and SPIRE_SIGN_CERTIFICATE. It
// must be one of packages/spire-archive-keyring/keys/, but for a rehearsal: SPIRE_REHEARSAL=1.
// But for a rehearsal, upstream's tag on GitHub must be the commit of the source, or
// the key is not even opened. Flags as for build.
func Sign(ctx context.Context, version, arch, source, formats *string) error {
	return checkout().ForEach(in(options(version, arch, source, nil), formats), func(o pipeline.Options) error {
		return signed(ctx, o, false, func(pipeline.Result, *sign.Signer) error { return nil })
	})
}

// Verify says whether files, a folder or an address of them are what was shipped.
//
// Several are separated by commas. The key to believe is in the file -key or,
// without one, in packages/spire-archive-keyring/keys/; while none is there, it is
// the one to sign with (see sign). With -rebuild the packages are built again from
// the source package beside them, and compared.
//
// With -rebuild -attest=DIR they are instead built from upstream's source as build does, and
// where each package comes out the same to the bit, DIR gets an attestation of that, signed by
// the key in -attester=FILE (SPIRE_ATTEST_KEY; made where there is none, by default in the
// user's configuration): a file to give to archives, and with it all that a web server has to
// serve to clients such as repro-threshold. With -attest=FILE.link it is that file alone.
//
// With -log=https://HOST/PATH, the address of an archive or its folder, they must be in
// its public log, which must go on from what was last seen of it here (kept in
// XDG_STATE_HOME), and each of -witness=NAME+HASH+KEY,... must have cosigned its head.
func Verify(ctx context.Context, files string, key, log, witness, attest, attester *string, rebuild *bool) error {
	public := shipped.PublicLog{At: flag(log, "SPIRE_VERIFY_LOG"), Witnesses: list(witness, "SPIRE_VERIFY_WITNESS")}
	again := again{rebuild: rebuild != nil && *rebuild, attest: flag(attest, ""), key: flag(attester, "SPIRE_ATTEST_KEY")}
	return verify(ctx, files, key, public, again)
}

// Clean removes dist/, with all that was built and kept for later builds.
func Clean(ctx context.Context) error {
	return checkout().Clean(ctx)
}
