#!/bin/sh
# A whole machine, with a kernel and a network of its own: install, enable, an
# identity for a workload, a reboot, and the identity again.
set -eu
# shellcheck source=lib/common.sh
. "$(dirname "$0")/lib/common.sh"
# shellcheck source=lib/spire.sh
. "$(dirname "$0")/lib/spire.sh"

before_the_reboot() {
    echo '== installing'
    pkg_repository
    pkg_install
    unwarned 'installing'
    for unit in $SERVICES; do
        unit_is "$unit" disabled inactive
    done
    echo '== enabling'
    bring_up
    reboot
}

after_the_reboot() {
    unit_is spire-server.service enabled active
    unit_is spire-agent.service enabled active
    unit_is spiffe-oidc-discovery-provider.service disabled inactive
    server_is_healthy
    agent_is_healthy
    answers 'agents' 0 'Found 1 attested agent' spire-server agent list
    workload_gets_its_svid
    for unit in spire-server.service spire-agent.service; do
        same "$unit's restarts" 0 "$(systemctl show --property=NRestarts --value "$unit")"
    done
    same 'failed units' '' "$(systemctl list-units --failed --plain --no-legend)"
}

case $PHASE in
1) before_the_reboot ;;
2) after_the_reboot ;;
esac
