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

# The index is good and ours, and has what is not SPIRE's: neither an upgrade of
# everything nor asking for it by name takes it.
others_stay_out() {
    at surplus
    update
    unwarned 'reading an index with packages of other names'
    before=$(dpkg-query --show --showformat '${Version}' openssl)
    quietly apt-get dist-upgrade --yes
    unwarned 'upgrading everything'
    same "openssl's version, which the archive has newer" "$before" "$(dpkg-query --show --showformat '${Version}' openssl)"
    quietly apt-get install --yes sudo
    [ "$CODE" -ne 0 ] || fail 'installing sudo, which only the archive has, expected it to fail, got exit code 0'
    ok "sudo is not taken: $(brief)"
    quietly apt-get install --yes "$SMALL"
    unwarned 'installing a package of ours beside them'
    quietly apt-get purge --yes "$SMALL"
}

# set_up: the front page's lines, but for the last, which installs.
set_up() { quietly sh -ec "$(printf '%s\n' "$PASTE" | sed '$d')"; }

# theirs FILE: an entry for the archive as a tool that manages the machine writes
# it, with keys in a place of its own.
theirs() {
    install -D -m 644 /usr/share/keyrings/spire-archive-keyring.gpg /etc/apt/keyrings/tool.gpg
    case $1 in
    *.list) echo "deb [signed-by=/etc/apt/keyrings/tool.gpg] $BASE/good/apt/ stable main" ;;
    *) printf '%s\n' 'Types: deb' "URIs: $BASE/good/apt" 'Suites: stable' 'Components: main' 'Signed-By: /etc/apt/keyrings/tool.gpg' ;;
    esac >"$1"
}

# Whoever has an entry keeps it, and apt never has two.
entries_are_not_doubled() {
    pin=/etc/apt/preferences.d/spire.pref
    for file in "${SOURCES%/*}/tool.list" "${SOURCES%/*}/tool.sources" /etc/apt/sources.list; do
        rm -rf "$LISTS"
        quietly apt-get purge --yes spire-archive-keyring
        unwarned 'purging the keyring'
        gone "$SOURCES" "$pin" /var/lib/spire-archive-keyring
        mkdir -p "$LISTS"
        theirs_first "$file"
        rm -f "$file"
    done
    set_up
    unwarned 'setting up again, when nobody else names the archive'
    there "$SOURCES" "$pin"

    # Under our own name, by a tool; and without a question.
    quietly apt-get purge --yes spire-archive-keyring
    install -m 644 /etc/apt/keyrings/tool.gpg /usr/share/keyrings/spire-archive-keyring.gpg
    theirs "$SOURCES"
    written=$(digest "$SOURCES")
    apt-get update
    quietly apt-get install --yes spire-archive-keyring
    unwarned "installing where $SOURCES is a tool's"
    said "$SOURCES stays as it is"
    same "$SOURCES" "$written" "$(digest "$SOURCES")"
    quietly apt-get purge --yes spire-archive-keyring
    same "$SOURCES after a purge" "$written" "$(digest "$SOURCES")"
    rm "$SOURCES"
    quietly sh -ec "$PASTE"
    unwarned 'setting up again'
    # shellcheck disable=SC2086 # a list
    quietly apt-get purge --yes $NAMES

    # What its admin did to it stays; what a removal leaves does not stop apt.
    sed -i 's/^Types: .*/Types: deb/' "$SOURCES"
    quietly apt-get install --yes --reinstall spire-archive-keyring
    unwarned 'installing again over a changed entry'
    same 'the types in a changed entry' 'Types: deb' "$(grep ^Types "$SOURCES")"
    install -m 644 /usr/share/spire-archive-keyring/spire.sources "$SOURCES"
    quietly apt-get remove --yes spire-archive-keyring
    unwarned 'removing the keyring'
    gone "$SOURCES"
    update
    unwarned 'reading the lists after a removal of the keyring'
    set_up
    unwarned 'setting up again after a removal'
}

# said WORDS: among the output.
said() {
    case $OUTPUT in
    *"$1"*) ok "it says: $1" ;;
    *) fail "the output, expected '$1', got '$OUTPUT'" ;;
    esac
}

# theirs_first FILE: somebody else's entry was there before.
theirs_first() {
    install -D -m 644 "$TOP/ours.gpg" /usr/share/keyrings/spire-archive-keyring.gpg
    theirs "$1"
    set_up
    unwarned "setting up where $1 names the archive"
    said "$1 names the archive already"
    gone "$SOURCES"
    there "$pin"
    update
    unwarned "reading the lists beside $1"
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
cp /usr/share/keyrings/spire-archive-keyring.gpg "$TOP/ours.gpg"
source_comes
others_stay_out
entries_are_not_doubled
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
