#!/bin/sh
# Confirmed by others: repro-threshold, apt's transport that installs only what enough
# rebuilders have got too, takes ours by the word of two, from themselves and from the archive,
# and refuses what the archive's own key has signed and they have not got.
# The nights play it: it takes a root of its own.
set -eu
# shellcheck source=lib/common.sh
. "$(dirname "$0")/lib/common.sh"

NAME=spiffe-oidc-discovery-provider
PORT=${URL##*:}
echo '127.0.0.1 archive.test one.test two.test' >>/etc/hosts

# rebuilder NAME URL [KEY]: one whose word counts, if its key is known.
rebuilder() {
    printf '[[trusted_rebuilder]]\nname = "%s"\nurl = "%s"\ndistributions = []\n' "$1" "$2"
    [ $# -lt 3 ] || curl -fsS "$URL/rebuilders/$3/api/v1/meta/public-keys" | sed 's/.*\["/signing_keyring = "/; s/"\].*/"/'
}

# believe REBUILDER...: two of those have to agree.
believe() {
    {
        printf '[rules]\nrequired_threshold = 2\n'
        cat
    } >/etc/repro-threshold.conf
}

# from REPOSITORY: of which apt takes its lists.
from() {
    sed -i "s|^Types: .*|Types: deb|; s|^URIs: .*|URIs: reproduced+http://archive.test:$PORT/$1|; s|^Suites: .*|Suites: stable|" /etc/apt/sources.list.d/spire.sources
    rm -rf /var/lib/apt/lists/*
    quietly apt-get update
    unwarned "the lists of $1"
    apt-get clean
}

# refused WHAT SIGNATURES: the package is not installed, and why.
refused() {
    answers "$1" 100 "only $2/2 required signatures" apt-get install --yes "$NAME"
    same "$NAME installed with $1" '' "$(pkg_installed "$NAME")"
}

pkg_repository

{
    rebuilder one "http://one.test:$PORT/rebuilders/one" one
    rebuilder two "http://two.test:$PORT/rebuilders/two" two
} | believe
from forged/apt
refused 'a package of other bytes, signed by the archive' 0

{
    rebuilder one "http://one.test:$PORT/rebuilders/stranger" one
    rebuilder two "http://two.test:$PORT/rebuilders/stranger" two
} | believe
refused 'the word of a key that nobody knows' 0

{
    rebuilder one "http://one.test:$PORT/rebuilders/liar" one
    rebuilder two "http://two.test:$PORT/rebuilders/two" two
} | believe
refused 'the word of one of two' 1

{
    rebuilder one "http://one.test:$PORT/rebuilders/one" one
    rebuilder two "http://two.test:$PORT/rebuilders/two" two
} | believe
from confirmed/apt
quietly apt-get install --yes "$NAME"
unwarned 'an install by the word of two rebuilders'
same "$NAME installed" "$VERSION" "$(pkg_installed "$NAME")"
pkg_purge "$NAME"

# What the archive serves of them counts by their keys, though they are out of reach.
{
    rebuilder archive "http://archive.test:$PORT/confirmed/rebuilt"
    rebuilder one http://one.test:9/ one
    rebuilder two http://two.test:9/ two
} | believe
apt-get clean
answers 'an install by what the archive serves of two rebuilders' 0 'Failed to fetch remote attestations' apt-get install --yes "$NAME"
same "$NAME installed" "$VERSION" "$(pkg_installed "$NAME")"
status=$(curl -fsS "$URL/confirmed/status.json")
same 'confirmations on the status page' 2 "$(printf '%s\n' "$status" | grep -c '"attestation": "rebuilt/api/v1/builds/[12]/artifacts/1/attestation"')"
same 'who gave them' 'one two' "$(printf '%s\n' "$status" | sed -n 's/.*"by": "\([a-z]*\)".*/\1/p' | paste -sd ' ')"
ok "$NAME is installed by the word of two rebuilders"
