#!/bin/sh
# A service is known by its unit, whoever it runs as: from within its sandbox the agent
# asks systemd, over D-Bus, whose process it is.
# Of the stand-ins, dnf's plays it.
set -eu
# shellcheck source=lib/common.sh
. "$(dirname "$0")/lib/common.sh"
# shellcheck source=lib/spire.sh
. "$(dirname "$0")/lib/spire.sh"

# in_unit UNIT COMMAND...: as a service of that name, until its end.
in_unit() {
    unit=$1
    shift
    systemd-run --quiet --wait --pipe --collect --unit="$unit" --uid=daemon "$@"
}

[ -S /run/dbus/system_bus_socket ] || skip 'there is no D-Bus here'

pkg_repository
pkg_install
unwarned 'installing'
bring_up
sed -i 's/^plugins {/&\n    WorkloadAttestor "systemd" {\n        plugin_data {}\n    }\n/' "$AGENT_CONF"
same 'attestors of systemd' 1 "$(grep -c '^    WorkloadAttestor "systemd" {' "$AGENT_CONF")"
answers 'agent configuration' 0 'SPIRE agent configuration file is valid.' spire-agent validate -config "$AGENT_CONF"
systemctl restart spire-agent
agent_is_healthy

new_entry by-unit systemd:id:web.service
soon 20 'X.509 SVID of web.service' 0 'spiffe://example.org/by-unit' in_unit web.service spire-agent api fetch x509
answers 'no identity for other.service' 1 'PermissionDenied' in_unit other.service spire-agent api fetch x509
workload_gets_its_svid
