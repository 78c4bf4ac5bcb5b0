# shellcheck shell=sh disable=SC2154 # common.sh and the scenario have set the rest
# What the package promises: it listens on no port, and answers its group alone.
# shellcheck source=/dev/null
. "$LIB/spire.sh"

UNIT=tornjak-manager.service
SOCKET=/run/tornjak-manager/api.sock

# ask GROUP: as somebody else of that group.
ask() {
    setpriv --reuid 65534 --regid "$1" --clear-groups curl --silent --show-error --max-time 10 \
        --unix-socket $SOCKET http://localhost/manager-api/server/list
}

starts $UNIT
answers 'its group' 0 servers ask tornjak-manager
runs $UNIT tornjak-manager
answers 'somebody else' 7 'connect' ask 65534
same 'its socket' 'tornjak-manager:tornjak-manager 660' "$(stat --format '%U:%G %a' $SOCKET)"
same 'its database' 'tornjak-manager 600' "$(stat --format '%U %a' /var/lib/tornjak-manager/manager.sqlite3)"
pid=$(systemctl show --property=MainPID --value $UNIT)
ports=$(find "/proc/$pid/fd" -lname 'socket:*' -printf '%l\n' | tr -dc '0-9\n' | while read -r inode; do awk -v inode="$inode" '$4 == "0A" && $10 == inode' /proc/net/tcp /proc/net/tcp6; done)
same 'ports that it listens on' '' "$ports"
# A restart leaves no socket in its way.
systemctl kill --signal=KILL $UNIT
soon 20 'after a kill' 0 servers ask tornjak-manager
systemctl stop $UNIT
answers 'after a stop' 7 'connect' ask tornjak-manager
