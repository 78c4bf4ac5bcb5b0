# shellcheck shell=sh disable=SC2034,SC2154 # lists are for the scripts; BASE, PASTE and REPO come from them
# What dnf and zypper have in common. A script of theirs says what client,
# forget and REPO are.
#
# BASE is the address of a folder with one repository a case; PASTE is what the
# front page says to paste.

SMALL=spiffe-oidc-discovery-provider
METADATA_CASES='repomd-tampered repomd-signature-tampered repomd-unsigned repomd-foreign'
PACKAGE_CASES='payload-tampered rpm-unsigned rpm-foreign'

# at CASE: the client looks at that repository, and has never seen another.
at() {
    forget
    sed -i "s|^baseurl=.*|baseurl=$BASE/$1/rpm/\$basearch|" "$REPO"
}

not_installed() {
    if rpm --query "$SMALL" >/dev/null 2>&1; then fail "$1, expected $SMALL not to be there, got it installed"; fi
    ok "$1: nothing was installed"
}

# refused CASE WORDS: the client failed and said why.
refused() {
    [ "$CODE" -ne 0 ] || fail "$1, expected the client to fail, got exit code 0: $(brief)"
    printf '%s\n' "$OUTPUT" | grep -Eq "$2" || fail "$1, expected /$2/, got '$OUTPUT'"
    ok "$1: $(printf '%s\n' "$OUTPUT" | grep -Em1 "$2")"
    not_installed "$1"
}

metadata_refused() {
    at "$1"
    client makecache
    refused "$1" "$2"
    client install "$SMALL"
    refused "$1, and installs nothing" .
}

package_refused() {
    at "$1"
    client makecache
    unwarned "reading the metadata of $1"
    client install "$SMALL"
    refused "$1" "$2"
}

paste_works() {
    quietly sh -ec "$PASTE"
    [ "$CODE" -eq 0 ] || fail "the front page's lines, expected exit code 0, got $CODE: $(brief)"
    unwarned "the front page's lines"
    for name in $NAMES spire-release; do
        quietly rpm --query "$name"
        same "exit code of rpm -q $name" 0 "$CODE"
    done
    # shellcheck disable=SC2086 # a list
    quietly rpm --erase $NAMES
    cp /etc/pki/rpm-gpg/RPM-GPG-KEY-spire "$TOP/ours.asc"
    grep -q '^gpgcheck=1' "$REPO" || fail "$REPO, expected gpgcheck=1, got none"
    grep -q '^repo_gpgcheck=1' "$REPO" || fail "$REPO, expected repo_gpgcheck=1, got none"
    ok 'all checks are on'
}

# others_stay_out: the index is good and ours, and has what is not SPIRE's: neither
# an upgrade of everything nor asking for it by name takes it. A stand-in has a
# distribution of its own for that, which is one older package.
others_stay_out() {
    at surplus
    if [ -n "$STANDIN" ]; then
        quietly rpmbuild -bb --quiet --define "_topdir $TOP/older" --define 'number 1' "$TOP/scenarios/rpm/sudo.spec"
        older "$TOP/older/RPMS/noarch"
    fi
    client makecache
    unwarned 'reading metadata with packages of other names'
    client install sudo
    not_from_us 'asking for it by name'
    client upgrade
    not_from_us 'upgrading everything'
    client install "$SMALL"
    unwarned 'installing a package of ours beside it'
    rpm --erase "$SMALL"
}

# older_index_is_taken: what the front page warns of is so; where it is no more, the
# page (and its golden file, which holds the words) has to change.
older_index_is_taken() {
    at good
    client makecache
    unwarned 'reading the newest metadata'
    sed -i "s|^baseurl=.*|baseurl=$BASE/replayed/rpm/\$basearch|" "$REPO"
    client makecache
    unwarned 'reading older metadata, as the front page warns'
}

# not_from_us WHAT: sudo 99 is nowhere.
not_from_us() {
    case $(rpm --query --queryformat '%{VERSION}' sudo || :) in
    99) fail "sudo after $1, expected none of ours, got version 99" ;;
    *) ok "sudo after $1: $(rpm --query sudo || :)" ;;
    esac
}

# entries_are_not_doubled: whoever has an entry keeps it, and the client never has
# two of one name.
entries_are_not_doubled() {
    for file in "${REPO%/*}/a-tool.repo" "${REPO%/*}/tool.repo"; do
        forget
        cp "$REPO" "$file"
        rpm --erase spire-release
        gone "$REPO"
        mkdir -p /etc/pki/rpm-gpg
        cp "$TOP/ours.asc" /etc/pki/rpm-gpg/RPM-GPG-KEY-spire
        quietly sh -ec "$(printf '%s\n' "$PASTE" | sed '$d')"
        unwarned "setting up where $file names the archive"
        gone "$REPO"
        client makecache
        unwarned "reading the metadata beside $file"
        case $OUTPUT in
        *'more than once'*) fail "the repositories, expected each once, got '$OUTPUT'" ;;
        esac
        mv "$file" "$REPO"
    done
}

# keys_change: a client that knows the first key goes on to the last with
# nothing but its usual upgrades.
keys_change() {
    for stage in 1 2 3; do
        at "rotation-$stage"
        client makecache
        unwarned "reading the metadata at stage $stage of a change of keys"
        client upgrade spire-release
        unwarned "upgrading at stage $stage of a change of keys"
    done
    client install "$SMALL"
    unwarned 'installing what the last key has signed'
    rpm --erase "$SMALL"
}
