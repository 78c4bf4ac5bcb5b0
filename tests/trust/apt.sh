#!/bin/sh
# apt and the repository: what the front page says works without a warning, and
# every way to break the repository that we know of is refused by apt itself.
#
# BASE is the address of a folder with one repository a case; PASTE is what the
# front page says to paste.
set -eu
# shellcheck source=lib/common.sh
. "$(dirname "$0")/lib/common.sh"

SOURCES=/etc/apt/sources.list.d/spire.sources
LISTS=/var/lib/apt/lists
SMALL=spiffe-oidc-discovery-provider

# Nothing but ours can be reached here.
only_ours() {
    rm -f /etc/apt/sources.list
    find /etc/apt/sources.list.d -type f ! -name spire.sources -delete
}

# at CASE: apt looks at that repository, and has never seen another.
at() {
    rm -rf "$LISTS"
    apt-get clean # what was downloaded before
    sed -i "s|^URIs: .*|URIs: $BASE/$1/apt|" "$SOURCES"
}

# after_good CASE: apt has seen the good repository, at the address of the case.
after_good() {
    at good
    quietly apt-get update
    unwarned "reading the repository before it is $1"
    at_now=$(date_of good)
    for list in "$LISTS"/*_good_*; do mv "$list" "$(printf '%s\n' "$list" | sed "s|_good_|_$1_|")"; done
    sed -i "s|^URIs: .*|URIs: $BASE/$1/apt|" "$SOURCES"
}

# date_of CASE: the Date of the index that apt has.
date_of() { sed -n 's/^Date: //p' "$LISTS"/*_"$1"_apt_dists_stable_*Release; }

update() { quietly apt-get update -o APT::Update::Error-Mode=any; }

# refused CASE WORDS: update fails and says why; nothing can be installed.
refused() {
    [ "$CODE" -ne 0 ] || fail "$1, expected apt-get update to fail, got exit code 0"
    printf '%s\n' "$OUTPUT" | grep -Eq "$2" || fail "$1, expected /$2/, got '$OUTPUT'"
    ok "$1: $(printf '%s\n' "$OUTPUT" | grep -Em1 "$2")"
}

no_candidate() {
    quietly apt-get install --yes "$SMALL"
    [ "$CODE" -ne 0 ] || fail "$1, expected nothing to install, got exit code 0"
    if dpkg-query --show "$SMALL" >/dev/null 2>&1; then fail "$1, expected $SMALL not to be there, got it installed"; fi
    ok "$1: nothing can be installed"
}

# fresh_refusal CASE WORDS
fresh_refusal() {
    at "$1"
    quietly apt-get update
    refused "$1" "$2"
    no_candidate "$1"
}

# later_refusal CASE WORDS: and the good lists stay.
later_refusal() {
    after_good "$1"
    update
    refused "$1 over good lists" "$2"
    same "the date of the lists after $1" "$at_now" "$(date_of "$1")"
}

paste_works() {
    only_ours
    quietly sh -ec "$PASTE"
    [ "$CODE" -eq 0 ] || fail "the front page's lines, expected exit code 0, got $CODE: $(brief)"
    unwarned "the front page's lines"
    for name in $NAMES spire-archive-keyring; do
        same "$name is installed" 'install ok installed' "$(dpkg-query --show --showformat '${Status}' "$name")"
    done
    quietly apt-get update
    unwarned 'apt-get update'
    grep -q '^Signed-By:' "$SOURCES" || fail "$SOURCES, expected Signed-By, got none"
    # shellcheck disable=SC2086 # a list
    quietly apt-get purge --yes $NAMES
}

source_comes() {
    cd "$(mktemp -d)"
    chown _apt . # who downloads
    quietly apt-get source --download-only spire
    unwarned 'apt-get source'
    there ./*.dsc ./*.orig.tar.xz ./*.orig-vendor.tar.xz ./*.debian.tar.xz
    cd /
}

# The keys change hands: a client that knows the first one goes on to the last
# with nothing but its usual upgrades.
stage() { sed -i "s|^URIs: .*|URIs: $BASE/rotation-$1/apt|" "$SOURCES"; }
keys_change() {
    at rotation-1
    for stage in 1 2 3; do
        stage "$stage"
        update
        unwarned "reading the lists at stage $stage of a change of keys"
        quietly apt-get install --yes spire-archive-keyring "$SMALL"
        unwarned "upgrading at stage $stage of a change of keys"
    done
    same 'the version of the last keyring' "$(apt-cache madison spire-archive-keyring | sed -n '1s/.*| *\([^ ]*\) *|.*/\1/p')" \
        "$(dpkg-query --show --showformat '${Version}' spire-archive-keyring)"
}

paste_works
source_comes
for case in tampered unsigned foreign sha1 expired packages-tampered packages-truncated; do
    case $case in
    tampered) words='BADSIG|[Ss]ignature' ;;
    unsigned) words="not signed|NO_PUBKEY|isn't signed|NODATA" ;;
    foreign) words='NO_PUBKEY|[Mm]issing key|not available' ;;
    sha1) words='SHA1|weak|policy|rejected|invalid|INVALID|BADSIG' ;;
    expired) words='expired' ;;
    *) words='Hash Sum mismatch|unexpected size|Undetermined Error|corrupt|[Ss]um' ;;
    esac
    fresh_refusal "$case" "$words"
done
for case in tampered unsigned foreign expired; do
    case $case in
    unsigned) words="not signed|isn't signed|NODATA|no longer signed" ;;
    expired) words='expired' ;;
    *) words='[Ss]ignature|NO_PUBKEY|[Mm]issing key' ;;
    esac
    later_refusal "$case" "$words"
done

# An older index is ignored, without a word.
after_good replayed
update
same 'the date of the lists after an older index' "$at_now" "$(date_of replayed)"

# The index is good, the package is not what it says.
at deb-tampered
update
unwarned 'reading an index whose package is tampered with'
quietly apt-get install --yes "$SMALL"
refused deb-tampered 'Hash Sum mismatch|[Hh]ash|unexpected size'
no_candidate deb-tampered

keys_change
