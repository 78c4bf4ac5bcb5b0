#!/bin/sh
# A repository that gives nothing up: all that ever was, and each of its states as it was
# served then, by the clients' own means. Three publications ago there were other packages
# with the keys.
# The nights play it: it takes a repository of several publications.
set -eu
# shellcheck source=lib/common.sh
. "$(dirname "$0")/lib/common.sh"

KEYS=$([ "$FORMAT" = deb ] && echo spire-archive-keyring || echo spire-release)
STATES=$URL/states

# get NAME: of a state that was saved when it was served.
get() { curl -fsS "$STATES/$1"; }
digest_of() { get "$1" | sha256sum | cut -d ' ' -f 1; }

# newest: the newest version of the package with the keys that the client finds there.
newest() {
    case $CLIENT in
    apt) apt-cache "$@" madison "$KEYS" | awk '$NF == "Packages" { print $3 }' ;;
    dnf) dnf --quiet repoquery --queryformat '%{version}-%{release}\n' "$KEYS" | grep . ;;
    zypper) zypper --non-interactive --quiet search --details --match-exact "$KEYS" | awk -F ' *[|] *' '$3 == "package" && $6 ~ /^SPIRE/ { print $4 }' ;;
    esac | sort -V | tail -n 1
}

pkg_repository
AT=$(get 0/at)
case $CLIENT in
apt)
    entry=/etc/apt/sources.list.d/spire.sources
    sed -i "s|^URIs: .*|URIs: $URL/archive/apt|" $entry
    lists=/var/lib/apt/lists
    quietly apt-get update
    unwarned 'the repository as it is'
    last=$(newest)
    if apt-get --version | grep -q '^apt [3-9]'; then
        quietly apt-get update --snapshot "$AT" -o Acquire::Check-Valid-Until=false
        unwarned "apt-get update --snapshot $AT"
        first=$(newest --snapshot "$AT")
        quietly apt-get install --yes --allow-downgrades --snapshot "$AT" "$KEYS=$first"
        unwarned "apt-get install --snapshot $AT"
        same "$KEYS installed" "$first" "$(pkg_installed "$KEYS")"
        answers 'a state that never was' 100 'does not have a Release file' apt-get update --error-on=any --snapshot 20010101T000000Z
        sed -i "s|^URIs: .*|URIs: $URL/archive/apt|" $entry # the package has its own
    else
        sed -i "s|^URIs: .*|URIs: mirror+$URL/archive/apt/snapshot/$AT/mirrors|" $entry
        quietly apt-get update -o Acquire::Check-Valid-Until=false
        unwarned 'the list of mirrors of a state'
        first=$(newest)
        quietly apt-get install --yes --allow-downgrades "$KEYS=$first"
        unwarned 'an install from a state'
        same "$KEYS installed" "$first" "$(pkg_installed "$KEYS")"
    fi
    for suite in stable stable-security; do
        same "InRelease of $suite, three publications ago" "$(digest_of "0/apt/dists/$suite/InRelease")" \
            "$(digest "$(ls $lists/*"$AT"*_dists_"$suite"_InRelease)")"
    done
    # Everything: all that the states had, at once.
    sed -i "s|^URIs: .*|URIs: $URL/archive/apt|;s|^Suites: .*|Suites: archive|" $entry
    quietly apt-get update
    unwarned 'the archive'
    same 'versions in the archive' 4 "$(apt-cache madison "$KEYS" | awk '$NF == "Packages"' | sort -u | wc -l)"
    ;;
*)
    case $CLIENT in
    dnf) entry=/etc/yum.repos.d/spire.repo cache=/var/cache ;;
    zypper) entry=/etc/zypp/repos.d/spire.repo cache=/var/cache/zypp ;;
    esac
    refresh() {
        rm -rf /var/cache/dnf /var/cache/libdnf5 /var/cache/zypp
        case $CLIENT in dnf) quietly dnf --assumeyes makecache ;; zypper) quietly zypper --non-interactive refresh ;; esac
    }
    sed -i "s|^baseurl=.*rpm/\$basearch|baseurl=$URL/archive/rpm/\$basearch|" "$entry"
    refresh
    unwarned 'the repository as it is'
    last=$(newest)
    sed -i "s|^baseurl=.*rpm/\$basearch|metalink=$URL/archive/rpm/snapshot/$AT/\$basearch/metalink.xml|" "$entry"
    refresh
    unwarned "the state of $AT"
    first=$(newest)
    same 'repomd.xml, three publications ago' "$(digest_of "0/rpm/$PKGARCH/repodata/repomd.xml")" \
        "$(digest "$(find "$cache" -name repomd.xml -path '*spire*' ! -path '*source*' | head -n 1)")"
    cp "$entry" "$TOP/entry"
    pkg_downgrade "$first" "$KEYS"
    [ "$CODE" -eq 0 ] || fail "an install from a state, expected exit code 0, got $CODE: $(brief)"
    same "$KEYS installed" "$first" "$(pkg_installed "$KEYS")"
    sed "s|^metalink=.*|baseurl=$URL/archive/rpm/archive/\$basearch|" "$TOP/entry" >"$entry"
    refresh
    unwarned 'the archive'
    pkg_upgrade "$last" "$KEYS"
    [ "$CODE" -eq 0 ] || fail "an install from the archive, expected exit code 0, got $CODE: $(brief)"
    same "$KEYS installed" "$last" "$(pkg_installed "$KEYS")"
    ;;
esac
[ "$first" != "$last" ] || fail "the newest version of $KEYS, expected another one three publications ago, got $first both times"
ok "three publications ago $KEYS was $first, and it is $last"
