#!/bin/sh
# piuparts calls this before a removal. What the services' users could leave in the
# folders that are theirs: links to what is root's, which a purge must not follow.
set -eu

for folder in /var/lib/spire/agent /var/lib/spire/server /var/lib/spire/oidc-discovery-provider \
    /var/log/spire/agent /var/log/spire/server /run/spire/agent /run/spire/server; do
    mkdir -p "$folder/deep"
    ln -s / "$folder/root"
    ln -s /etc "$folder/etc"
    ln -s /etc/passwd "$folder/file"
    ln -s ../../../../../../usr "$folder/deep/up"
    ln -s . "$folder/deep/round"
    ln -s /nowhere "$folder/broken"
    echo 'a name of its own' >"$folder/deep/-rf "
done
echo '{}' >/var/lib/spire/server/keys.json
