#!/bin/sh
# Starts an instance, from a copy of its configuration among its state.
set -e
name=$SYSTEMD_INSTANCE
state=/var/lib/spire/agent/$name
for config in "/etc/spire/agent/$name/config" "/etc/spire/agent/$name.conf" /etc/spire/agent/default.conf; do
    [ -f "$config" ] || continue
    cp -a "$config" "$state/config"
    break
done
exec /usr/libexec/spire/agent/spire-agent run -config "$state/config" -dataDir "$state" \
    -socketPath "/run/spire/agent/sockets/$name/public/api.sock" -expandEnv ${JOIN_TOKEN:+-joinToken "$JOIN_TOKEN"}
