#!/bin/sh
# UPDATES times a client reads a repository, with nothing in its caches, that
# changes all the time. Each time it has to find one whole state.
#
# dnf and zypper read repomd.xml and its signature by two requests; between the
# two, a publication may take place, which they refuse as they should. Only that
# may happen, rarely, and only once in a row.
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

# read_afresh: with nothing that it has read before.
read_afresh() {
    # shellcheck disable=SC2086 # a list
    rm -rf $caches
    client
}

# between: what the client says if the two requests fell apart.
between() {
    [ "$CLIENT" != apt ] && [ "$CODE" -ne 0 ] &&
        printf '%s\n' "$OUTPUT" | grep -Eq 'repomd.xml.*[Ss]ignature|[Ss]ignature verification failed.*repomd.xml'
}

count=0 wrong=0 again=0
while [ "$count" -lt "$UPDATES" ]; do
    read_afresh
    if between; then
        again=$((again + 1))
        read_afresh
    fi
    if [ "$CODE" -ne 0 ]; then
        wrong=$((wrong + 1))
        first=${first:-$OUTPUT}
    fi
    count=$((count + 1))
done
[ "$wrong" -eq 0 ] || fail "reading while publications run, expected $count of $count to go well, got $wrong that failed, the first with: $first"
[ "$again" -le $((UPDATES / 10)) ] || fail "reading while publications run, expected the two requests to fall apart rarely, got $again of $count"
ok "$count of $count times read a whole state, $again after a second try"
