#!/bin/sh
# Starts an instance, from a copy of its configuration among its state.
set -e
name=$SYSTEMD_INSTANCE
mkdir -p "/etc/spire/server/$name/tpm-direct/hashes"
state=/var/lib/spire/server/$name
for config in "/etc/spire/server/$name/config" "/etc/spire/server/$name.conf" /etc/spire/server/default.conf; do
    [ -f "$config" ] || continue
    cp -a "$config" "$state/config"
    break
done
exec /usr/libexec/spire/server/spire-server run -config "$state/config" -dataDir "$state" \
    -socketPath "/run/spire/server/sockets/$name/private/api.sock" -expandEnv
