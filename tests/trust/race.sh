#!/bin/sh
# UPDATES times a client reads a repository, with nothing in its caches, that
# changes all the time. Each time it has to find one whole state.
set -eu
# shellcheck source=lib/common.sh
. "$(dirname "$0")/lib/common.sh"

case $CLIENT in
apt)
    file=/etc/apt/sources.list.d/spire.sources address='URIs: ' path=apt
    rm -f /etc/apt/sources.list
    find /etc/apt/sources.list.d -type f -delete
    client() { quietly apt-get update -o APT::Update::Error-Mode=any; }
    caches=/var/lib/apt/lists
    ;;
dnf)
    # shellcheck source=rpm/common.sh
    . "$(dirname "$0")/rpm/common.sh"
    # shellcheck disable=SC2016 # dnf's own variable
    file=/etc/yum.repos.d/spire.repo address='baseurl=' path='rpm/$basearch'
    client() { quietly dnf --assumeyes makecache; }
    caches='/var/cache/dnf /var/lib/dnf/repos'
    ;;
zypper)
    # shellcheck source=rpm/common.sh
    . "$(dirname "$0")/rpm/common.sh"
    # shellcheck disable=SC2016 # zypper's own variable
    file=/etc/zypp/repos.d/spire.repo address='baseurl=' path='rpm/$basearch'
    client() { quietly zypper --non-interactive refresh; }
    caches=/var/cache/zypp
    ;;
esac

pkg_prepare
quietly sh -ec "$PASTE"
[ "$CODE" -eq 0 ] || fail "the front page's lines, expected exit code 0, got $CODE: $(brief)"
sed -i "s|^$address.*|$address$BASE/busy/$path|" "$file"

count=0 wrong=0
while [ "$count" -lt "$UPDATES" ]; do
    # shellcheck disable=SC2086 # a list
    rm -rf $caches
    client
    if [ "$CODE" -ne 0 ]; then
        wrong=$((wrong + 1))
        first=${first:-$OUTPUT}
    fi
    count=$((count + 1))
done
[ "$wrong" -eq 0 ] || fail "reading while publications run, expected $count of $count to go well, got $wrong that failed, the first with: $first"
ok "$count of $count times read a whole state"
