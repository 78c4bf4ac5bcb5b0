# shellcheck shell=sh
# shellcheck disable=SC2034,SC2154 # what OpenRC reads, and what the script has set
# What the services of this packaging have in common under OpenRC. Installed as
# /usr/libexec/NAME/openrc, and read by the scripts in /etc/init.d; whatever is set in
# /etc/conf.d goes before what is set here.
#
# OpenRC has no sandbox as systemd's units have. What it has is used: a user of its own,
# no new privileges, no capability, a supervisor, and folders that are root's but for
# the leaves that belong to the service.

supervisor=supervise-daemon
# Every identity expires without the services: never give up starting them again.
respawn_delay=${respawn_delay:-5}
respawn_max=${respawn_max:-0}
# Time for what is being written to the disk, and then no more.
retry=${retry:-TERM/60/KILL/5}
umask=${umask:-0077}
# No program that it starts, whoever owns that, may more than itself.
no_new_privs=yes
# No keys in core dumps.
rc_ulimit=${rc_ulimit:--c 0}
output_logger=${output_logger-logger -t $RC_SVCNAME -p daemon.info}
error_logger=${error_logger-logger -t $RC_SVCNAME -p daemon.info}
# How long a start waits for the service to answer, in seconds.
ready_timeout=${ready_timeout:-60}
# The second start is that of wait_on, below: the program runs already.
in_background_fake=start

# For those that read some of their files again, such as plugin_data_file of their plugins.
reload() {
  ebegin "Reloading $RC_SVCNAME"
  supervise-daemon "$RC_SVCNAME" --signal "${reload_signal:-USR1}" ${pidfile:+--pidfile} ${pidfile:+"$pidfile"}
  eend $?
}

# folder PATH MODE: one that belongs to the service. All above it are root's: who owns a
# folder can put a link in the place of what root makes in it.
folder() {
  above=
  rest=${1#/*/}
  base=${1%"/$rest"}
  while :; do
    case $rest in
    */*)
      above=$above/${rest%%/*}
      rest=${rest#*/}
      [ -d "$base$above" ] || checkpath --directory --mode 0755 --owner root:root "$base$above" || return 1
      ;;
    *) break ;;
    esac
  done
  checkpath --directory --mode "$2" --owner "$command_user" "$1"
}

# configured FILE: the configuration is there.
configured() {
  [ -e "$1" ] && return 0
  eerror "$RC_SVCNAME has no configuration: there is no $1"
  return 1
}

# log_files: the service writes them itself, and cannot make them.
log_files() {
  for file in ${output_log:+"$output_log"} ${error_log:+"$error_log"}; do
    checkpath --file --mode 0640 --owner "$command_user" "$file" || return 1
  done
}

# environment FILE...: exports what the files say, those that are there: lines of
# NAME=value, as systemd reads them. No shell looks at the values.
environment() {
  for file; do
    [ -e "$file" ] || continue
    while IFS= read -r line || [ -n "$line" ]; do
      value=${line#*=}
      case $value in
      \"*\") value=${value#\"} value=${value%\"} ;;
      \'*\') value=${value#\'} value=${value%\'} ;;
      esac
      case ${line%%=*} in
      "$line" | '#'* | ';'* | '' | [0-9]* | *[!A-Za-z0-9_]*)
        case $line in
        '' | '#'* | ';'*) ;;
        *) ewarn "$file: a line that is not NAME=value is left out" ;;
        esac
        ;;
      *) export "${line%%=*}=$value" ;;
      esac
    done <"$file" || return 1
  done
}

# as_user COMMAND-LINE: runs it as the service's user.
as_user() { su -s /bin/sh -c "umask 0077; exec $1" "${command_user%%:*}"; }

# supervised: the supervisor is there, whether or not the program is.
supervised() {
  pid=
  # shellcheck disable=SC2162 # a number
  [ ! -r "${pidfile:=/run/supervise-$RC_SVCNAME.pid}" ] || read pid <"$pidfile"
  [ -n "$pid" ] && kill -0 "$pid" 2>/dev/null
}

# stays SECONDS: its program runs, after so many of them. What cannot be asked is believed
# then.
stays() { [ "$1" -ge 3 ] && kill -0 "$(service_get_value child_pid)"; }

# await_ready: started means that the service answers, as the script's function ready
# finds it, which is told how many seconds it was waited for. One that does not in time goes on trying, and is inactive until it does:
# what needs it is started then, and not before.
await_ready() {
  waited=0
  while [ "$waited" -lt "$ready_timeout" ]; do
    if ready "$waited" >/dev/null 2>&1; then
      return 0
    fi
    if ! supervised; then
      eerror "$RC_SVCNAME has ended"
      return 1
    fi
    sleep 1
    waited=$((waited + 1))
  done
  ewarn "$RC_SVCNAME does not answer after $ready_timeout seconds, and goes on trying: its log says why"
  mark_service_inactive
  wait_on </dev/null >/dev/null 2>&1 &
  return 0
}

# wait_on: until the service answers, or nobody waits for it any more.
wait_on() {
  while service_inactive && supervised; do
    if ready "$waited"; then
      IN_BACKGROUND=yes rc-service --nodeps "$RC_SVCNAME" start
      return
    fi
    sleep 5
  done
}
