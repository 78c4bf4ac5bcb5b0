#!/bin/sh
# Starts an instance, from a copy of its configuration among its state.
set -e
name=$SYSTEMD_INSTANCE
export INSTANCE="${INSTANCE:-$name}"
for config in "/etc/spire/controller-manager/$name.conf" /etc/spire/controller-manager/default.conf; do
    [ -f "$config" ] || continue
    cp -a "$config" "/var/lib/spire/controller-manager/$name/config"
    break
done
exec /usr/bin/spire-controller-manager -config "/var/lib/spire/controller-manager/$name/config" -expand-env
