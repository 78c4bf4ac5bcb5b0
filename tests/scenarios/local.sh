#!/bin/sh
# The lines by which README installs what was built there, which is not signed: as
# they stand, and where rpm takes nothing unsigned.
# The newest of a family plays it.
set -eu
# shellcheck source=lib/common.sh
. "$(dirname "$0")/lib/common.sh"

CHECKOUT=$TOP/checkout
BUILT=dist/spire/${VERSION%-*}
MACROS=/etc/rpm/macros.strict

# line WORDS: the line of README that begins with them, for this version and
# architecture. zypper takes answers from a terminal alone.
line() {
    found=$(grep "^$1 .*\./dist/" "$TOP/pastes/README.md") || fail "README, expected a line that begins with $1, got none"
    printf '%s\n' "$found" | sed "s/_amd64/_$PKGARCH/; s/x86_64/$PKGARCH/; s|dist/spire/[0-9.]*/|$BUILT/|; s|^zypper |zypper --non-interactive |"
}

# by_readme WORDS: installs by that line, and all three are there.
by_readme() {
    command=$(line "$1")
    quietly sh -ec "cd $CHECKOUT; yes | $command"
    unwarned "README's line: $command"
    for name in $NAMES; do same "$name's version" "$VERSION" "$(pkg_installed "$name")"; done
}

# refused WORDS: here, that line installs nothing.
refused() {
    command=$(line "$1")
    quietly sh -ec "cd $CHECKOUT; yes | $command"
    for name in $NAMES; do same "$name after: $command" '' "$(pkg_installed "$name")"; done
}

pkg_prepare
install -d "$CHECKOUT/$BUILT"
for name in $NAMES; do
    file=$(case $FORMAT in
        deb) echo "${name}_${VERSION}_$PKGARCH.deb" ;;
        rpm) echo "$name-$VERSION.$PKGARCH.rpm" ;;
    esac)
    curl --silent --show-error --fail --output "$CHECKOUT/$BUILT/$file" "$URL/built/$file"
done

if [ "$FORMAT" = deb ]; then
    by_readme apt-get
else
    case $(rpm --eval '%{?_pkgverify_level}') in
    all | signature) ok 'nothing unsigned is taken here' ;;
    *)
        by_readme "$CLIENT"
        # shellcheck disable=SC2086 # a list
        rpm --erase $NAMES
        mkdir -p /etc/rpm
        echo '%_pkgverify_level all' >$MACROS
        same 'what rpm wants now' all "$(rpm --eval '%{_pkgverify_level}')"
        ;;
    esac
    refused "$CLIENT"
    by_readme rpm
fi
