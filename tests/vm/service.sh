#!/bin/sh
# A whole machine, with a kernel and a network of its own: install, enable, an
# identity for a workload, a reboot, and the identity again, all of it under AppArmor.
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
    same 'what AppArmor denied' '' "$(denials)"
    reboot
}

# with_drop_in PROPERTY... COMMAND...: as the agent's user, with the capabilities of
# unix-discover-path.conf.
with_drop_in() {
    systemd-run --quiet --wait --collect --pipe -p User=spire-agent -p 'AmbientCapabilities=CAP_SYS_PTRACE CAP_DAC_READ_SEARCH' "$@"
}

# confined: the profiles let the services do all that they did, and forbid what the
# capabilities of a drop-in would allow.
confined() {
    for name in spire-server spire-agent; do
        same "$name's profile" "$name (enforce)" "$(cat "/proc/$(systemctl show --property=MainPID --value $name.service)/attr/current")"
    done
    same 'what AppArmor denied' '' "$(denials)"
    answers 'memory of a process, without the profile' 0 '' with_drop_in sh -c ': </proc/1/mem'
    answers 'memory of a process' 2 'Permission denied' with_drop_in -p AppArmorProfile=spire-agent sh -c ': </proc/1/mem'
    answers 'environment of a process' 1 'Permission denied' with_drop_in -p AppArmorProfile=spire-agent cat /proc/1/environ
    answers 'program of a process' 0 /systemd with_drop_in -p AppArmorProfile=spire-agent readlink /proc/1/exe
    same 'what AppArmor denied now' '/proc/1/environ /proc/1/mem' "$(denials | grep -o '/proc/1/[a-z]*' | sort -u | xargs)"
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
    confined
}

case $PHASE in
1) before_the_reboot ;;
2) after_the_reboot ;;
esac
