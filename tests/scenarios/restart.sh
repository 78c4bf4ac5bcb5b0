#!/bin/sh
# A reboot: what was enabled comes back and still works; what was not, stays off.
set -eu
# shellcheck source=lib/common.sh
. "$(dirname "$0")/lib/common.sh"
# shellcheck source=lib/spire.sh
. "$(dirname "$0")/lib/spire.sh"

before_the_reboot() {
    pkg_repository
    pkg_install
    unwarned 'installing'
    bring_up
    reboot
}

after_the_reboot() {
    unit_is spire-server.service enabled active
    unit_is spire-agent.service enabled active
    unit_is spiffe-oidc-discovery-provider.service disabled inactive
    server_is_healthy
    agent_is_healthy
    there "$SERVER_SOCKET" "$AGENT_SOCKET"
    answers 'agents' 0 'Found 1 attested agent' spire-server agent list
    workload_gets_its_svid
    same 'failed units' '' "$(systemctl list-units --failed --plain --no-legend)"
}

case $PHASE in
1) before_the_reboot ;;
2) after_the_reboot ;;
esac
