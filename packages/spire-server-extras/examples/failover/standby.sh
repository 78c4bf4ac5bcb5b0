# shellcheck shell=sh
# As root on a database host: makes its PostgreSQL a standby of the one on another host,
# whatever it was before. What it had is kept beside it.
#
#   sh standby.sh PRIMARY [CLUSTER]
#
# The password of the user replicator is in ~postgres/.pgpass, and the CA of the primary's
# certificate in /etc/postgresql/ca.crt.
set -eu
primary=${1:?PRIMARY: the host to follow}
cluster=${2:-$(pg_lsclusters --no-header | awk '$2 == "main" { print $1 "/main" }')}
unit=postgresql@${cluster%/*}-${cluster#*/}.service
data=/var/lib/postgresql/$cluster

systemctl stop "$unit"
[ ! -e "$data" ] || mv "$data" "$data.before-$(date +%Y%m%d%H%M%S)"
setpriv --reuid postgres --regid postgres --clear-groups env HOME=/var/lib/postgresql \
    pg_basebackup --pgdata "$data" --write-recovery-conf --checkpoint fast \
    --dbname "host=$primary user=replicator sslmode=verify-full sslrootcert=/etc/postgresql/ca.crt"
# The primary waits for its standby; this one has none when it takes the place.
sed -i '/^synchronous_standby_names/d' "$data/postgresql.auto.conf"
systemctl start "$unit"
