#!/bin/sh
# Removal while everything runs. The rule: a removal keeps configuration and
# state; a purge (deb) takes the configuration that came with the package and
# the agent's state, but never CA keys, an admin's own files, or the users.
set -eu
# shellcheck source=lib/common.sh
. "$(dirname "$0")/lib/common.sh"
# shellcheck source=lib/spire.sh
. "$(dirname "$0")/lib/spire.sh"

# Like the agent's bundle, no package's file.
ADMIN_FILE=/etc/spire/server/admins-own.conf

# leftovers: every path of ours, but for what this test brought and the logs.
leftovers() {
    find / -xdev \( -path /proc -o -path "$TOP" -o -path /var/log -o -path /var/cache \) -prune \
        -o \( -name '*spire*' -o -name '*spiffe*' \) -print | sort
    find /run \( -name '*spire*' -o -name '*spiffe*' \) -print | sort
}

# no_links: what enabled a unit.
no_links() {
    same 'links to units of ours' '' "$(find /etc/systemd -lname '*spi[rf]*' -o -name '*spi[rf]*')"
}

packages_are_gone() {
    for name in $NAMES; do gone "/usr/bin/$name"; done
    for unit in $UNITS; do unit_unknown "$unit"; done
    no_process
    users_are_there
}

remove_keeps_what_is_the_admins() {
    edited=$(digest "$AGENT_CONF")
    ca=$(digest /var/lib/spire/server/keys.json)
    pkg_remove
    unwarned 'removing'
    packages_are_gone
    [ "$FORMAT" = deb ] || no_links # dpkg keeps them for the next install, until the purge
    pkg_config_kept "$AGENT_CONF" "$edited"
    there "$ADMIN_FILE" "$BUNDLE" /var/lib/spire/server /var/lib/spire/agent
    same 'CA keys after a removal' "$ca" "$(digest /var/lib/spire/server/keys.json)"
}

installing_again_finds_it() {
    pkg_install
    unwarned 'installing again'
    pkg_restore_config "$AGENT_CONF"
    systemctl start spire-server spire-agent
    server_is_healthy
    agent_is_healthy
    answers 'agents after installing again' 0 'Found 1 attested agent' spire-server agent list
    workload_gets_its_svid
}

purge_leaves_what_the_rule_names() {
    ca=$(digest /var/lib/spire/server/keys.json)
    pkg_purge
    unwarned 'purging'
    case $OUTPUT in
    */var/lib/spire/server*) ok 'the purge says that /var/lib/spire/server is kept' ;;
    *) fail "purging, expected a word on /var/lib/spire/server, got none" ;;
    esac
    packages_are_gone
    same 'CA keys after a purge' "$ca" "$(digest /var/lib/spire/server/keys.json)"
    same 'what a purge leaves' '/etc/spire
/var/lib/spire' "$(leftovers)"
    same 'what a purge leaves in /etc/spire' "$BUNDLE
$ADMIN_FILE" "$(find /etc/spire ! -type d | sort)"
    same 'what a purge leaves in /var/lib/spire' /var/lib/spire/server "$(find /var/lib/spire -mindepth 1 -maxdepth 1)"
    no_links
}

purge_of_an_unused_install_leaves_nothing() {
    rm -r /var/lib/spire /etc/spire
    pkg_install
    unwarned 'installing once more'
    pkg_purge
    unwarned 'purging what was never used'
    same 'what that purge leaves' '' "$(leftovers)"
}

pkg_repository
pkg_install
unwarned 'installing'
bring_up
unset_join_token # a change to the configuration
oidc_entry
systemctl enable --now spiffe-oidc-discovery-provider
echo '# not from any package' >"$ADMIN_FILE"

remove_keeps_what_is_the_admins
installing_again_finds_it
if [ "$FORMAT" = deb ]; then
    purge_leaves_what_the_rule_names
    purge_of_an_unused_install_leaves_nothing
fi
