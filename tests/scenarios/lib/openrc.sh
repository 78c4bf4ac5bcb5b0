# shellcheck shell=sh
# Services by OpenRC. What each word does with a service of that name is what systemctl does
# with a unit in lib/spire.sh and lib/common.sh.

# service_prepare: OpenRC as after a boot, though another init runs; and the packages'
# services, which only apks bring.
service_prepare() {
    for state in daemons exclusive failed hotplugged inactive options scheduled started starting stopping tmp wasinactive; do
        mkdir -p "/run/openrc/$state"
    done
    touch /run/openrc/softlevel
    cp -R "$TOP/openrc/." /
}

# service_instance SERVICE NAME: a further one, SERVICE.NAME.
service_instance() { ln -s "$1" "/etc/init.d/$1.$2"; }

# service_does VERB NAME: without a complaint. The supervisor keeps no file of the caller's.
service_does() {
    CODE=0
    rc-service "$2" "$1" >/tmp/openrc 2>&1 </dev/null || CODE=$?
    OUTPUT=$(cat /tmp/openrc)
    printf '%s\n' "\$ rc-service $2 $1" "$OUTPUT"
    [ "$CODE" -eq 0 ] || fail "$2 $1, expected exit code 0, got $CODE: $(brief)"
    ok "$2 $1"
}

# service_is NAME started|stopped
service_is() { same "$1" "status: $2" "$(rc-service "$1" status 2>&1 | sed 's/^ [*] //')"; }

# service_pid NAME: of the program.
service_pid() { cat "/run/openrc/options/$1/child_pid"; }

# service_runs NAME USER PROGRAM: as that user, who can get no more rights and has none.
service_runs() {
    pid=$(service_pid "$1")
    status=/proc/$pid/status
    same "$1's user" "$2" "$(id --user --name "$(sed -n 's/^Uid:[[:space:]]*\([0-9]*\).*/\1/p' "$status")")"
    same "$1's program" "$3" "$(tr '\0' ' ' <"/proc/$pid/cmdline" | cut -d ' ' -f 1)"
    same "$1's rights" '1 0000000000000000' "$(sed -n 's/^\(NoNewPrivs\|CapEff\):[[:space:]]*//p' "$status" | sort -r | paste -sd ' ')"
}

# service_comes_back NAME: another program in the place of one that was killed.
service_comes_back() {
    killed=$(service_pid "$1")
    kill -9 "$killed"
    for _ in $(seq $((20 * PATIENCE))); do
        sleep 1
        pid=$(service_pid "$1")
        if [ "$pid" != "$killed" ] && kill -0 "$pid" 2>/dev/null; then
            ok "$1 is there again after it was killed"
            return
        fi
    done
    fail "$1 after it was killed, expected another process than $killed, got $pid"
}
