#!/bin/sh
# piuparts calls this before a removal. What the services' users could leave in the
# folders that are theirs: links to what is root's, which a purge must not follow.
set -eu

hostile() {
    mkdir -p "$1/deep"
    ln -s / "$1/root"
    ln -s /etc "$1/etc"
    ln -s /etc/passwd "$1/file"
    ln -s ../../../../../../usr "$1/deep/up"
    ln -s . "$1/deep/round"
    echo 'a name of its own' >"$1/deep/-rf "
}

for part in server agent oidc-discovery-provider; do
    [ -e "/etc/spire/$part" ] || continue
    for folder in "/var/lib/spire/$part" "/var/log/spire/$part" "/run/spire/$part"; do
        hostile "$folder"
    done
done
[ ! -e /etc/spire/server ] || echo '{}' >/var/lib/spire/server/keys.json
