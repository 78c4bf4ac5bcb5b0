#!/bin/sh
# The source package, by the distribution's own client: signed, and what the build
# made. That it builds the very same packages again is for test:rebuild to show.
set -eu
# shellcheck source=lib/common.sh
. "$(dirname "$0")/lib/common.sh"

SOURCES=$TOP/expected/sources # SHA256 NAME; of an rpm its header's, which no signature changes
WHERE=$(mktemp -d)

# expected NAME: its digest; a name must be there.
expected() { awk -v name="$1" '$2 == name { print $1 }' "$SOURCES"; }

# as_built NAME DIGEST
as_built() {
    [ -n "$(expected "$1")" ] || fail "$1, expected it among the built sources, got no such name"
    same "$1" "$(expected "$1")" "$2"
}

# all_came PATTERN: none of the build's files is missing.
all_came() {
    same 'source files' "$(cut -d ' ' -f 2 "$SOURCES" | grep -E "$1" | sort | paste -sd ' ')" \
        "$(find "$WHERE" -maxdepth 1 -type f -printf '%f\n' | sort | paste -sd ' ')"
}

deb_source() {
    pkg_source "$WHERE" "$VERSION"
    cd "$WHERE"
    unwarned 'apt-get source'
    all_came '\.(dsc|tar\.xz)$'
    for file in *.tar.xz; do as_built "$file" "$(digest "$file")"; done
    # The text in the signature's wrapper.
    quietly gpg --no-default-keyring --keyring /usr/share/keyrings/spire-archive-keyring.gpg \
        --trust-model always --output text --decrypt spire_*.dsc
    same "exit code of the .dsc's signature" 0 "$CODE"
    as_built "$(echo spire_*.dsc)" "$(digest text)"

    # Some rows have it; it is nothing that differs between releases.
    command -v dpkg-source >/dev/null ||
        skip 'there is no dpkg-source (package dpkg-dev): what came is as it was built, and was not unpacked'
    mkdir -p /root/.gnupg
    install -m 600 /usr/share/keyrings/spire-archive-keyring.gpg /root/.gnupg/trustedkeys.gpg
    quietly dpkg-source --require-valid-signature --extract spire_*.dsc tree
    unwarned 'dpkg-source'
    there tree/debian/rules tree/go.mod tree/vendor/modules.txt
}

rpm_source() {
    pkg_source "$WHERE" "$VERSION"
    cd "$WHERE"
    unwarned "the client's download of the source package"
    all_came '\.src\.rpm$'
    file=$(echo spire-*.src.rpm)
    answers 'signatures and digests' 0 'OK' rpmkeys --checksig --define '_pkgverify_level all' "$file"
    as_built "$file" "$(rpm --query --package --queryformat '%{SHA256HEADER}' "$file")"
    quietly rpm --install --define "_topdir $WHERE/tree" "$file"
    unwarned 'unpacking'
    there tree/SPECS/spire.spec
    same 'unpacked files' "$(rpm --query --package --list "$file" | sort | paste -sd ' ')" \
        "$(find tree -type f -printf '%f\n' | sort | paste -sd ' ')"
}

pkg_repository
case $FORMAT in
deb) deb_source ;;
rpm) rpm_source ;;
esac
