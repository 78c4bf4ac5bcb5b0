# shellcheck shell=sh
# Databases of the distribution's own packages, with TLS and a user by password, for
# several servers.

# certified OWNER FOLDER HOST...: a certificate of the database's hosts, of a CA of its own,
# which is the same file.
certified() {
    owner=$1 folder=$2
    shift 2
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj "/CN=$1" \
        -addext "subjectAltName=$(printf 'DNS:%s\n' "$@" | paste -sd ,)" -keyout "$folder/db.key" -out "$folder/db.crt" 2>/dev/null
    chown "$owner" "$folder/db.key"
}

# postgresql HOST...: with the database spire, whose user has the password tangram.
postgresql() {
    certified postgres /etc/postgresql "$@"
    printf "ssl = on\nssl_cert_file = '/etc/postgresql/db.crt'\nssl_key_file = '/etc/postgresql/db.key'\n" \
        >"$(echo /etc/postgresql/*/main/conf.d)/db.conf"
    systemctl restart postgresql.service
    soon 30 'PostgreSQL' 0 'accepting connections' pg_isready
    as_postgres psql --quiet --command "create user spire password 'tangram'" --command 'create database spire owner spire'
}
as_postgres() { setpriv --reuid postgres --regid postgres --clear-groups "$@"; }

# mariadb_server HOST...: likewise.
mariadb_server() {
    certified mysql /etc/mysql "$@"
    printf '[mariadbd]\nbind_address = 0.0.0.0\nssl_cert = /etc/mysql/db.crt\nssl_key = /etc/mysql/db.key\nrequire_secure_transport = ON\n' \
        >/etc/mysql/mariadb.conf.d/99-db.cnf
    systemctl restart mariadb.service
    soon 30 'MariaDB' 0 '' mariadb --execute 'select 1'
    mariadb --execute "create database spire; create user spire@'%' identified by 'tangram'; grant all on spire.* to spire@'%'"
}
