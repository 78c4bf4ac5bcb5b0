#!/bin/sh
# piuparts calls this after a purge. The server's state is kept as it was, and
# nothing else. With that gone, the root must be as before the installation.
set -eu

[ -e /var/lib/spire ] || exit 0
left=$(find /var/lib/spire -mindepth 1 -maxdepth 1)
if [ "$left" != /var/lib/spire/server ] || [ ! -s /var/lib/spire/server/keys.json ] || [ ! -L /var/lib/spire/server/etc ]; then
    echo "a purge leaves in /var/lib/spire, expected the server's state, got: $left" >&2
    exit 1
fi
rm -rf /var/lib/spire
