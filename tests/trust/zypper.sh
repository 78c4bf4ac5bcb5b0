#!/bin/sh
# zypper and the repository, as in dnf.sh.
set -eu
# shellcheck source=lib/common.sh
. "$(dirname "$0")/lib/common.sh"
# shellcheck source=rpm/common.sh
. "$(dirname "$0")/rpm/common.sh"

REPO=/etc/zypp/repos.d/spire.repo
# client COMMAND...: by the names that dnf has for them.
client() {
    command=$1
    shift
    case $command in
    makecache) command=refresh ;;
    upgrade) command=update ;;
    esac
    quietly zypper --non-interactive "$command" "$@"
}
# older FOLDER: a distribution has these.
older() {
    printf '%s\n' '[older]' "baseurl=dir:$1" type=plaindir gpgcheck=0 >/etc/zypp/repos.d/older.repo
}
forget() { rm -rf /var/cache/zypp; }

pkg_prepare
paste_works

others_stay_out
rm -f /etc/zypp/repos.d/older.repo
entries_are_not_doubled
older_index_is_taken
for case in $METADATA_CASES; do metadata_refused "$case" '[Ss]ignature|GPG|gpg|signed|Valid metadata not found'; done
for case in $PACKAGE_CASES; do
    case $case in
    payload-tampered) words='[Dd]igest|checksum|[Ii]ntegrity|corrupt' ;;
    *) words='[Ss]ignature|signed|key' ;;
    esac
    package_refused "$case" "$words"
done

keys_change
