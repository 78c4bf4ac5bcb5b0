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
# The paths before the first install.
BEFORE=$TOP/before

# paths: every path but what changes by itself, what this test brought, and what
# the package manager and the making of users keep for themselves, unless it is
# called after us.
paths() {
    find / -xdev \( -path "$TOP" -o -path /tmp -o -path /var/log -o -path /var/cache \) -prune \
        -o \( -name '*spire*' -o -name '*spiffe*' -o -path '/etc/*' ! -path '/etc/*-' ! -name .pwd.lock -o -path '/usr/*' \
        -o -path '/var/*' ! -path '/var/lib/dpkg/*' ! -path '/var/lib/apt/*' ! -path '/var/lib/rpm/*' ! -path '/var/lib/dnf/*' ! -path '/var/lib/zypp/*' \) -print
    find /run \( -name '*spire*' -o -name '*spiffe*' \) -print
}

# leftovers: what was not there before the first install.
leftovers() { paths | sort | comm -13 "$BEFORE" -; }

# no_links: what enabled a unit.
no_links() {
    same 'links to units of ours' '' "$(find /etc/systemd /run/systemd \( -lname '*spi[rf]*' -o -name '*spi[rf]*' \) ! -path '/run/systemd/units/*')"
}

# no_sockets: a removal leaves nothing there, nor the folders that they were in.
no_sockets() { same 'what a removal leaves in /run' '' "$(find /run \( ! -type d \( -path '*spire*' -o -path '*spiffe*' \) \) -o -path '/run/spire*')"; }

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
    no_sockets
    [ "$FORMAT" = deb ] || no_links # dpkg keeps them for the next install, until the purge
    pkg_config_kept "$AGENT_CONF" "$edited"
    there "$ADMIN_FILE" "$BUNDLE" /var/lib/spire/server /var/lib/spire/agent
    same 'CA keys after a removal' "$ca" "$(digest /var/lib/spire/server/keys.json)"
}

# An erase takes what the unit files and the package brought: what is left is the
# admin's, or made by the services.
erase_leaves_what_the_rule_names() {
    same 'what an erase leaves' "$(find /etc/spire /var/lib/spire | sort)" "$(leftovers)"
    same 'what an erase leaves in /etc/spire' "$AGENT_CONF.rpmsave
$BUNDLE
$ADMIN_FILE" "$(find /etc/spire ! -type d | sort)"
    same 'what an erase leaves in /var/lib/spire' '/var/lib/spire/agent
/var/lib/spire/oidc-discovery-provider
/var/lib/spire/server' "$(find /var/lib/spire -mindepth 1 -maxdepth 1 | sort)"
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
    same 'what a purge leaves' "$(find /etc/spire /var/lib/spire | sort)" "$(leftovers)"
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
paths | sort >"$BEFORE"
pkg_install
unwarned 'installing'
bring_up
unset_join_token # a change to the configuration
oidc_entry
systemctl enable --now spiffe-oidc-discovery-provider
echo '# not from any package' >"$ADMIN_FILE"

remove_keeps_what_is_the_admins
[ "$FORMAT" = deb ] || erase_leaves_what_the_rule_names
installing_again_finds_it
if [ "$FORMAT" = deb ]; then
    purge_leaves_what_the_rule_names
    purge_of_an_unused_install_leaves_nothing
fi
