#!/bin/sh
# In a container that may not mount, where systemd makes no mount namespace: units
# fail with 226/NAMESPACE until they have the drop-ins for it, and state is found then
# and afterwards.
# A suite's own row plays it.
set -eu
# shellcheck source=lib/common.sh
. "$(dirname "$0")/lib/common.sh"
# shellcheck source=lib/spire.sh
. "$(dirname "$0")/lib/spire.sh"
# shellcheck source=lib/instances.sh
. "$(dirname "$0")/lib/instances.sh"
# shellcheck source=lib/state.sh
. "$(dirname "$0")/lib/state.sh"

OWN=/etc/systemd/system

# no_mounts, mounts: where systemd puts namespaces together, by the names that its
# versions have for it, is no folder, or may be one again.
ROOTS='/run/systemd/unit-root /run/systemd/mount-rootfs'
no_mounts() {
    for root in $ROOTS; do
        [ ! -d "$root" ] || rmdir "$root"
        : >"$root"
    done
}
mounts() {
    for root in $ROOTS; do rm "$root" && mkdir "$root"; done
}

# may_not UNIT BECAUSE: starting it fails, because a unit exits with 226.
may_not() {
    quietly systemctl start "$1"
    [ "$CODE" -ne 0 ] || fail "$1 without mounts, expected it not to start, got that it does"
    same "exit status of $2" 226 "$(systemctl show --property=ExecMainStatus --value "$2")"
    systemctl stop "$1"
}

# add PACKAGE DROP-IN UNIT...: to these units, as the drop-in says.
add() {
    file=/usr/share/$1/examples/drop-ins/$2
    shift 2
    for unit; do install -D -m 0644 -t "$OWN/$unit.d" "$file"; done
}
add_all() {
    for part in server agent; do
        add spire-$part container.conf spire-$part.service
        add spire-$part container-state.conf spire-$part-state.service
    done
    add spiffe-oidc-discovery-provider container.conf spiffe-oidc-discovery-provider.service
    systemctl daemon-reload
}

all_start() {
    starts spire-server.service spire-agent.service
    server_is_healthy
    agent_is_healthy
    same "the server's keys, $1" "$KEYS" "$(digest "$(leaf $SERVER_STATE)/keys.json")"
    answers 'agents, none of which joined anew' 0 'Found 1 attested agent' spire-server agent list
    workload_gets_its_svid
    starts spiffe-oidc-discovery-provider.service
    # shellcheck disable=SC2086 # a list
    systemctl stop $SERVICES
}

pkg_repository
pkg_install
unwarned 'installing'
bring_up
oidc_entry
KEYS=$(digest $SERVER_STATE/+default/keys.json)
# shellcheck disable=SC2086 # a list
systemctl stop $SERVICES

no_mounts
for part in server agent; do may_not spire-$part.service spire-$part-state.service; done
may_not spiffe-oidc-discovery-provider.service spiffe-oidc-discovery-provider.service
same 'the state, meanwhile' 'root 755 leaf' "$(layout $SERVER_STATE)"

add_all
all_start 'without mounts'
same 'the state, without mounts' 'spire-server 700 none' "$(layout $SERVER_STATE)"
# Instances take it in the place of that server, and never beside it.
rm -r $OWN/spire-server.service.d
add spire-server container.conf spire-server@.service
systemctl daemon-reload
instance_beside a 8082
starts spire-server@a.service
server_at_is_healthy a
systemctl stop spire-server@a.service

mounts
rm -r $OWN/spi*.d
systemctl daemon-reload
all_start 'with mounts again'
same 'the state, with mounts again' 'root 755 leaf' "$(layout $SERVER_STATE)"
