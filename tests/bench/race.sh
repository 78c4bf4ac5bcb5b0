#!/bin/sh
# The attack that gave a service's user the whole machine where the default unit
# and an instance had both run: it exchanges a folder and a link as fast as it
# can, and kills its own instance, so that systemd makes the folder, as root,
# again and again. On each image at once, in a container with systemd:
#
#   tests/bench/race.sh SECONDS FOLDER IMAGE...
#
# FOLDER has the debs of spire-server and spire-agent to try; IMAGE is one of those
# that the tests of the distributions make (docker image ls spire-packages-root).
# Ends with 0 where nothing outside of /var/lib/spire changed its owner. The
# scenario `state` does the same for some seconds, at every place.
set -eu

seconds=$1 packages=$2
shift 2
scenarios=$(cd "$(dirname "$0")/../scenarios" && pwd)
cgroups=/sys/fs/cgroup
[ -e $cgroups/cgroup.controllers ] || cgroups=$cgroups/unified
work=$(mktemp -d)

# race IMAGE NAME
race() {
  docker run --detach --name "$2" --network none --cap-add ALL --cap-drop SYS_RESOURCE \
    --security-opt seccomp=unconfined --security-opt apparmor=unconfined --cgroupns host \
    --volume "$cgroups:/sys/fs/cgroup:rw" --volume "$scenarios:/opt/spire-packages/scenarios:ro" \
    --volume "$packages:/opt/packages:ro" --tmpfs /run --tmpfs /run/lock --tmpfs /tmp:exec \
    --stop-signal SIGRTMIN+3 --env container=docker --entrypoint /lib/systemd/systemd "$1"
  # shellcheck disable=SC2016 # for the other shell
  docker exec --interactive --env FORMAT=deb --env CLIENT=apt --env STANDIN= --env ARCH=amd64 --env PATIENCE=10 \
    --env "RACE=$seconds" "$2" sh -eu <<'EOF'
for part in common spire instances state; do . /opt/spire-packages/scenarios/lib/$part.sh; done
until [ -S /run/dbus/system_bus_socket ]; do sleep 0.3; done
dpkg --install /opt/packages/spire-server_*.deb /opt/packages/spire-agent_*.deb
instance_beside a 8082
systemctl start spire-server.service
server_is_healthy
race "$RACE"
EOF
}

failed=0 names=''
for image; do
  name=spire-race-$$-$(printf %s "$image" | tr -c 'a-z0-9' -)
  names="$names $name"
  (race "$image" "$name" >"$work/$name" 2>&1 && echo whole >>"$work/$name") &
done
wait
for name in $names; do
  docker rm --force "$name" >/dev/null 2>&1 || :
  if [ "$(tail -n 1 "$work/$name")" = whole ]; then
    echo "$name: $(grep '^ok: what the services' "$work/$name")"
  else
    failed=1
    echo "$name: $(grep '^FAIL' "$work/$name" || tail -n 1 "$work/$name")"
  fi
done
echo "all that was said is in $work"
exit $failed
