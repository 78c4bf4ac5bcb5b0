#!/bin/sh
# The front page's three lines, by somebody who believes the site: the packages are there,
# with the package that brings new keys, and what that has is what was put there by hand.
#
# URL is the repository's address; VERSIONS is the version that is to be the newest.
set -eu
# shellcheck source=lib/common.sh
. "$(dirname "$0")/lib/common.sh"

if [ -n "$STANDIN" ]; then
    pkg_prepare
    mkdir -p /etc/pki/rpm-gpg /etc/yum.repos.d /etc/zypp/repos.d # a distribution's own packages have them
fi
umask 077 # apt reads as another user
quietly sh -e "$TOP/pastes/quick-$CLIENT"
went_well "the front page's three lines"
# shellcheck disable=SC2086 # a list
has "$VERSION" $NAMES
case $CLIENT in
apt) set -- spire-archive-keyring /etc/apt/sources.list.d/spire.sources /usr/share/keyrings/spire-archive-keyring.gpg ;;
dnf) set -- spire-release /etc/yum.repos.d/spire.repo /etc/pki/rpm-gpg/RPM-GPG-KEY-spire ;;
zypper) set -- spire-release /etc/zypp/repos.d/spire.repo /etc/pki/rpm-gpg/RPM-GPG-KEY-spire ;;
esac
case $FORMAT in
deb)
    same "$1 is installed" 'install ok installed' "$(dpkg-query --show --showformat '${Status}' "$1")"
    same 'the entry is the package'\''s' '' "$(cmp "$2" /usr/share/"$1"/spire.sources 2>&1)"
    ;;
rpm) answers "$1 has its files as they were" 0 '' rpm --verify "$1" ;;
esac
shift
for file; do
    same "mode of $file" 644 "$(stat -c %a "$file")"
    gone "$file.rpmnew" "$file.dpkg-new" "$file.dpkg-dist"
done
