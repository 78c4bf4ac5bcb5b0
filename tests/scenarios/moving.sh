#!/bin/sh
# Moving over from the packages of spiffe/spire-examples, with an instance of
# server and agent at work: configuration, state and sockets stay where they are,
# nothing is done by hand, and nothing runs as root any more. What they had besides
# stays, too: spire.target, SYSTEMD_INSTANCE, their plugins, the TPM for these, and
# commands that find the instance main by themselves; their manager of entries, and helper.
# The newest of a family plays it.
set -eu
# shellcheck source=lib/common.sh
. "$(dirname "$0")/lib/common.sh"
# shellcheck source=lib/spire.sh
. "$(dirname "$0")/lib/spire.sh"
# shellcheck source=lib/instances.sh
. "$(dirname "$0")/lib/instances.sh"
# shellcheck source=lib/examples.sh
. "$(dirname "$0")/lib/examples.sh"

DOMAIN=production.test
DOMAIN_ENV=/etc/spiffe/default-trust-domain.env
SERVER_STATE=/var/lib/spire/server/main
AGENT_STATE=/var/lib/spire/agent/main
# What their plugin has said, in the state of the instance that has it.
PLUGIN_SAID=/var/lib/spire/agent/tpm/plugin.said
# Of other sources, where they were built.
MANAGER=$(ours_of spire-controller-manager)
HELPER=$(ours_of spiffe-helper)
MANIFESTS=/etc/spire/server/main/manifests
TPM_DROP_IN=/etc/systemd/system/spire-agent@tpm.service.d/spire-examples-tpm.conf

# Of what they brought, some is as it came, and some is edited.
CONFIGURATION="$DOMAIN_ENV /etc/spire/agent/main.env
    /etc/spire/server/default.conf /etc/spire/server/default.env
    /etc/spire/agent/default.conf /etc/spire/agent/default.env"
[ -z "$MANAGER" ] || CONFIGURATION="$CONFIGURATION /etc/spire/controller-manager/default.conf /etc/spire/controller-manager/default.env"

# gets_its_svid: the agent of their default configuration tells workloads apart
# by their units. No command names a socket: they find that of main.
gets_its_svid() {
    soon 20 'SVID for workload.service' 0 "spiffe://$DOMAIN/web" \
        systemd-run --quiet --wait --pipe --collect --unit=workload.service --uid=65534 spire-agent api fetch x509
}

# found_without_a_flag: the instance main.
found_without_a_flag() {
    answers 'server main without a flag' 0 'Server is healthy.' spire-server healthcheck
    answers 'agent main without a flag' 0 'Agent is healthy.' spire-agent healthcheck
    same 'its bundle' "$(server_at main bundle show | sha256sum)" "$(spire-server bundle show | sha256sum)"
}

# plugin_said WHAT: a plugin from their place runs, and has the TPM. It is enough to
# look at that: it is no plugin that the agent could go on with.
plugin_said() {
    soon 20 "their plugin" 0 "$1" cat $PLUGIN_SAID
    rm $PLUGIN_SAID
}

# theirs_at_work: as an admin of theirs sets it up.
theirs_at_work() {
    sed -i "s/example.org/$DOMAIN/" "$DOMAIN_ENV"
    # As spiffe/bootc's configuration names files of an instance.
    # shellcheck disable=SC2016 # for SPIRE to expand
    sed -i 's|"./datastore.sqlite3"|"./${SYSTEMD_INSTANCE}.sqlite3"|' /etc/spire/server/default.conf
    systemctl daemon-reload
    systemctl enable spire.target spire-server.target spire-agent.target
    systemctl enable --now spire-server@main.service
    server_at_is_healthy main
    token_at main "$DOMAIN"
    echo "JOIN_TOKEN=$TOKEN" >/etc/spire/agent/main.env
    systemctl enable --now spire-agent@main.service
    agent_at_is_healthy main
    entry_at main "$DOMAIN" systemd:id:workload.service
    gets_its_svid
    found_without_a_flag
    theirs_with_a_tpm
    for part in server agent; do
        same "user of their $part" root "$(user_of "spire-$part@main.service")"
    done
}

# managed NAME: an entry comes from a file of main's, and another one goes.
managed() {
    printf 'apiVersion: spire.spiffe.io/v1alpha1\nkind: ClusterStaticEntry\nmetadata: {name: app}\nspec:\n  spiffeID: spiffe://%s/%s\n  parentID: spiffe://%s/host\n  selectors: ["unix:uid:4242"]\n' \
        "$DOMAIN" "$1" "$DOMAIN" >$MANIFESTS/app.yaml
    soon 40 "an entry from a file, $1" 0 "spiffe://$DOMAIN/$1" server_at main entry show -selector unix:uid:4242
    same "entries from files" 1 "$(printf '%s\n' "$OUTPUT" | grep -c '^SPIFFE ID')"
}

# theirs_of_others: a manager for main, as root. Their helper has no unit.
theirs_of_others() {
    [ -n "$MANAGER" ] || return 0
    mkdir -p $MANIFESTS
    systemctl enable --now spire-controller-manager@main.service
    managed theirs
    same 'user of their manager' root "$(user_of spire-controller-manager@main.service)"
    same 'their helper' 0.11.0 "$(spiffe-helper --version)"
}

# ours_of_others: by an upgrade alone.
ours_of_others() {
    [ -n "$MANAGER" ] || return 0
    pkg_upgrade "$MANAGER" spire-controller-manager
    unwarned 'upgrading to our manager'
    pkg_upgrade "$HELPER" spiffe-helper
    unwarned 'upgrading to our helper'
    same 'our manager' "$MANAGER" "$(pkg_installed spire-controller-manager)"
    same 'our helper' "$HELPER" "$(pkg_installed spiffe-helper)"
    gone /usr/libexec/spire/controller-manager/start.sh
}

# managed_by_ours NAME: what was enabled is, and not as root.
managed_by_ours() {
    [ -n "$MANAGER" ] || return 0
    same 'our manager enabled' enabled "$(systemctl is-enabled spire-controller-manager@main.service)"
    soon 20 'our manager' 0 active systemctl is-active spire-controller-manager@main.service
    managed "$1"
    same 'user of our manager' spire-controller-manager "$(user_of spire-controller-manager@main.service)"
}

# theirs_with_a_tpm: an instance whose plugin for node attestation asks for the TPM,
# as in spiffe/bootc. Any device will do for one.
theirs_with_a_tpm() {
    groupadd --force --system tss
    mknod --mode=0660 /dev/tpmrm0 c 1 3
    chgrp tss /dev/tpmrm0
    sed 's|NodeAttestor .*|NodeAttestor "tpm" {\n        plugin_cmd = "/usr/libexec/spire/plugins/agent-nodeattestor-tpmdirect"\n        plugin_checksum = ""|' \
        /etc/spire/agent/default.conf >/etc/spire/agent/tpm.conf
    systemctl enable spire-agent@tpm.service
    systemctl start --no-block spire-agent@tpm.service
    plugin_said 'root with the TPM'
    # The stand-in is no whole plugin, so ours would say at its restart that it fails.
    systemctl stop spire-agent@tpm.service
}

# digests: of what must stay as it is, a line a file.
digests() {
    for file in $CONFIGURATION "$SERVER_STATE/keys.json" "$AGENT_STATE/keys.json"; do
        printf '%s %s\n' "$file" "$(digest "$file")"
    done
}
# as_they_were DIGESTS
as_they_were() {
    printf '%s\n' "$1" | while read -r file sum; do
        same "$file" "$sum" "$(digest "$file")"
    done
}

# identities: whom the server knows, and what it signs with.
identities() {
    server_at main agent list | sed -n 's/^SPIFFE ID *: //p'
    server_at main entry show | sed -n 's/^Entry ID *: //p'
    server_at main bundle show | sha256sum
}

# ours_at_work: with all that was theirs.
ours_at_work() {
    server_at_is_healthy main
    agent_at_is_healthy main
    for part in server agent; do
        unit_is "spire-$part@main.service" enabled active
        runs "spire-$part@main.service" "spire-$part"
        same "restarts of $part main after a failure" 0 "$(systemctl show --property=NRestarts --value "spire-$part@main.service")"
        same "owners of the $part's state" "spire-$part:spire-$part" "$(find "/var/lib/spire/$part/main" -printf '%u:%g\n' | sort -u)"
        unit_is "spire-$part.service" disabled inactive
    done
    unit_is spire.target enabled active
    found_without_a_flag
    there "$(server_socket main)" "$(agent_socket main)" /run/spire/agent/sockets/main/private/admin.sock
    gets_its_svid
    same 'failed units' '' "$(systemctl list-units --failed --plain --no-legend)"
}

# ours_with_a_tpm: the upgrade has said so, and given it.
ours_with_a_tpm() {
    same "the drop-in for main, which has no TPM" '' "$(ls /etc/systemd/system/spire-agent@main.service.d 2>/dev/null || :)"
    there $TPM_DROP_IN
    systemctl start --no-block spire-agent@tpm.service
    plugin_said 'spire-agent with the TPM'
    systemctl disable --now spire-agent@tpm.service
    systemctl reset-failed 'spire-agent@tpm.service' 2>/dev/null || :
}

# spire_target: theirs could be enabled, and ends all that is SPIRE.
spire_target() {
    unit_is spire.target enabled active
    answers 'enabling spire.target' 0 '' systemctl enable spire.target
    systemctl stop spire.target
    for part in server agent; do soon 15 "$part main is stopped" 3 inactive systemctl is-active "spire-$part@main.service"; done
    systemctl start spire.target
}

# the_default_beside_it: a server as documented comes to where main was found, and
# what was found there is nobody's but its own.
the_default_beside_it() {
    sed -i 's/"8081"/"8099"/' "$SERVER_CONF"
    systemctl start spire-server.service
    server_is_healthy
    same "owner of the default server's socket" 'spire-server socket' "$(stat --format '%U %F' "$SERVER_SOCKET")"
    [ "$(spire-server bundle show)" != "$(server_at main bundle show)" ] || fail 'the default server, expected its own bundle, got that of main'
    ok 'the default server is found before main'
    server_at_is_healthy main
    systemctl stop spire-server.service spire-server@main.service
    rm -rf "${SERVER_SOCKET%/*}"
    systemctl start spire-server@main.service
    server_at_is_healthy main
}

# installed SERVER AGENT: the versions of ours, and nothing of theirs.
installed() {
    same 'spire-server installed' "$1" "$(pkg_installed spire-server)"
    same 'spire-agent installed' "$2" "$(pkg_installed spire-agent)"
    same 'spire-common installed' '' "$(pkg_installed spire-common)"
}

before_the_reboot() {
    pkg_repository
    examples_install
    theirs_at_work
    theirs_of_others
    kept=$(digests)
    known=$(identities)

    pkg_move
    unwarned "the front page's lines that move over"
    case $OUTPUT in
    *'spire-agent@tpm asks for the TPM, and gets it by '*) ok 'there is a word about the TPM' ;;
    *) fail 'moving over, expected a word about the TPM, got none' ;;
    esac
    installed "$VERSION" "$VERSION"
    ours_of_others
    as_they_were "$kept"
    ours_with_a_tpm
    spire_target
    ours_at_work
    same 'agents, entries and bundle' "$known" "$(identities)"
    managed_by_ours ours
    reboot
}

# What they enabled is enabled still. And a machine with one of theirs gets one of
# ours: left to itself, dnf takes every package that obsoletes spire-common.
after_the_reboot() {
    ours_at_work
    managed_by_ours rebooted
    the_default_beside_it
    found_without_a_flag
    pkg_remove spire-server
    there /usr/lib/systemd/system/spire.target # which is the agent's, too
    if [ "$FORMAT" = deb ]; then
        pkg_purge spire-server spire-agent
        gone /usr/lib/systemd/system/spire.target "${TPM_DROP_IN%/*}"
        return 0
    fi
    pkg_remove spire-agent
    gone /usr/lib/systemd/system/spire.target "${TPM_DROP_IN%/*}"
    quietly rpm --install --nosignature "$TOP"/examples/build/RPMS/*/spire-common-* "$TOP"/examples/build/RPMS/*/"spire-agent-$EXAMPLES_VERSION"-*
    pkg_move
    unwarned "the front page's lines, for an agent alone"
    installed '' "$VERSION"
}

case $PHASE in
1) before_the_reboot ;;
2) after_the_reboot ;;
esac
