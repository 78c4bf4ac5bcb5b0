#!/bin/sh
# What somebody does who has just found the repository, where it is served: adds it by
# the front page's lines, beside the distribution's own, installs what there is, and
# asks for the sources.
#
# URL is the repository's address; VERSIONS is the version that is to be the newest.
set -eu
# shellcheck source=lib/common.sh
. "$(dirname "$0")/lib/common.sh"

# says FILE LINE...: lines that are in it.
says() {
    file=$1
    shift
    for line; do
        grep -Fqx "$line" "$file" || fail "$file, expected the line $line, got none"
        ok "$file: $line"
    done
}

# A stand-in has no distribution behind it.
[ -z "$STANDIN" ] || pkg_prepare
pkg_setup
went_well "the front page's lines that add the repository"
case $CLIENT in
apt) says /etc/apt/sources.list.d/spire.sources "URIs: $URL/apt" 'Signed-By: /usr/share/keyrings/spire-archive-keyring.gpg' ;;
dnf) says /etc/yum.repos.d/spire.repo "baseurl=$URL/rpm/\$basearch" gpgcheck=1 repo_gpgcheck=1 ;;
zypper) says /etc/zypp/repos.d/spire.repo "baseurl=$URL/rpm/\$basearch" gpgcheck=1 repo_gpgcheck=1 ;;
esac

pkg_install
went_well "the front page's lines that install"
# shellcheck disable=SC2086 # a list
has "$VERSION" $NAMES

WHERE=$(mktemp -d)
pkg_source "$WHERE" "$VERSION"
went_well 'downloading the sources'
case $FORMAT in
deb)
    there "$WHERE"/spire_"$VERSION".dsc
    same 'archives of the source' 3 "$(find "$WHERE" -name '*.tar.xz' | wc -l)"
    ;;
rpm) answers 'signatures and digests of the source' 0 'OK' rpmkeys --checksig --define '_pkgverify_level all' "$WHERE"/spire-"$VERSION".src.rpm ;;
esac
