#!/bin/sh
# Puts the state of this host's SPIRE servers, or agents, into the folders that
# their units have for it. Installed as /usr/libexec/spire-ROLE/state.
#
#   state ROLE          before any of them starts, as spire-ROLE-state.service
#   state ROLE settle   by the package, when another version has taken its place
#
# /var/lib/spire/ROLE belongs to root. In it, +default is spire-ROLE.service's,
# which its unit shows it as /var/lib/spire/ROLE, and NAME is spire-ROLE@NAME's.
# In the former layout all of /var/lib/spire/ROLE was spire-ROLE.service's, with
# the instances' folders in it: below what a service owns, where it can put a link
# in the way of what root does there. Which of the two is right says the unit
# that systemd has, or the admin's own in its place.
#
# The state moves by a rename, so that it is whole at every moment; a run that is
# killed is finished by the next one. Only coreutils, grep and systemctl are used.
set -eu
umask 022

role=$1
unit=spire-$role.service
root=${DPKG_ROOT-}
etc=$root/etc/spire/$role
named=/var/lib/spire/$role # as configurations have it
place=$root$named
case $role in
server) states='keys.json datastore.sqlite3' ;;
agent) states='keys.json agent-data.json agent_svid.der bundle.der' ;;
*) exit 2 ;;
esac

refuse() {
  printf '%s\n' "$*" >&2
  exit 1
}

there() { [ -e "$1" ] || [ -L "$1" ]; }
real() { [ -d "$1" ] && [ ! -L "$1" ]; }
owner() { stat -c %u -- "$1"; }
filled() { [ -n "$(ls -A -- "$1" 2>/dev/null)" ]; }

# ask: what systemd has of the unit: in $want the layout (new, former, or own for
# an admin's unit that uses neither), whose the folder is, and the process.
ask() {
  want=own user='' group='' pid=0 load='' files=''
  answer=$(systemctl show --property=LoadState,StateDirectory,FragmentPath,DropInPaths,User,Group,MainPID "$unit")
  while IFS='=' read -r key value; do
    case $key in
    LoadState) load=$value ;;
    StateDirectory) case " $value " in *" spire/$role "*) want=former ;; esac ;;
    FragmentPath | DropInPaths) files="$files $value" ;;
    User) user=$value ;;
    Group) group=$value ;;
    MainPID) pid=$value ;;
    esac
  done <<EOF
$answer
EOF
  # shellcheck disable=SC2086 # a list
  if [ "$want" = former ]; then
    return
  elif [ "$load" = masked ]; then
    want=new user=spire-$role
  elif grep -qs "^BindPaths=.*/$role/+default" /dev/null $files; then
    want=new
  fi
}

# ask_files: the same of the files, where another version's are in place now and
# systemd may not run.
ask_files() {
  want=own pid=0
  for file in /etc/systemd/system /run/systemd/system /usr/lib/systemd/system /lib/systemd/system; do
    file=$root$file/$unit
    [ -e "$file" ] || continue
    grep -q "^BindPaths=.*/$role/+default" "$file" && want=new
    grep -q "^StateDirectory=spire/$role\$" "$file" && want=former
    return 0
  done
}

# running UNIT...: those that systemd runs.
running() {
  systemctl list-units --plain --no-legend --state=active,activating,reloading,deactivating "$@" |
    while read -r name _; do printf '%s\n' "$name"; done
}

# used NAME: the configuration of spire-ROLE.service names that folder.
used() {
  grep -qsF -e "$named/$1/" -e "$named/$1\"" -e "\"./$1/" -e "\"$1/" "$etc/$role.conf" "$etc/$role.env"
}

# configured NAME: there is an instance of that name.
configured() {
  for file in "$etc/$1" "$etc/$1.conf" "$etc/$1.env" "$root"/etc/systemd/system/*.wants/"spire-$role@$1.service" \
    "$root/etc/systemd/system/spire-$role@$1.service.d"; do
    case $file in "$etc/$role.conf" | "$etc/$role.env" | "$etc/default.conf" | "$etc/default.env") continue ;; esac
    ! there "$file" || return 0
  done
  case "
$instances
" in *"
spire-$role@$1.service
"*) return 0 ;; esac
  return 1
}

# is_instance FOLDER: it belongs to an instance and not to spire-ROLE.service.
is_instance() {
  name=${1##*/}
  case $name in *[!A-Za-z0-9:_.\\@-]*) return 1 ;; esac
  real "$1" || return 1
  if used "$name"; then
    configured "$name" || return 1
    refuse "$named/$name is the state of spire-$role@$name, and $etc/$role.conf names it too: give $unit a folder of its own"
  fi
  configured "$name" && return 0
  for state in keys.json datastore.sqlite3 agent-data.json agent_svid.der bundle.der; do
    [ ! -e "$1/$state" ] || return 0
  done
  return 1
}

# mounted: something is mounted on the folder, or below it.
mounted() {
  while read -r _ _ _ _ point _; do
    case $point in "$place" | "$place"/*) return 0 ;; esac
  done </proc/self/mountinfo
  return 1
}

# left_behind: state of the former layout beside +default, as a backup of that
# time brings it.
left_behind() {
  for file in "$place"/*; do
    if [ ! -f "$file" ] || [ -L "$file" ]; then continue; fi
    case " $states " in *" ${file##*/} "*) return 0 ;; esac
    ! grep -qsF "$named/${file##*/}\"" "$etc/$role.conf" || return 0
  done
  return 1
}

# links: the files' former places lead to where they are now, for the admin's
# scripts, and for an older version that nobody told of the new layout: it goes on
# with the same keys.
links() {
  for file in $states; do
    there "$place/$file" || ln -s "+default/$file" "$place/$file"
  done
}

# own FOLDER: belongs to root from now on.
own() {
  chown -h 0:0 "$1"
  chmod 0755 "$1"
}

# mark, unmark: something is being moved. A folder, because making one
# follows no link.
mark() { real "$place/+moving" || mkdir "$place/+moving"; }
unmark() { rmdir "$place/+moving"; }

# finish: what a killed to_new left.
finish() {
  real "$place+new/+default" || return 0
  [ ! -d "$place" ] || rmdir "$place" || refuse "$named is not empty, and $named+new/+default is the state of $unit: move what is wanted into one of them"
  mv -T "$place+new" "$place"
}

# to_new: from the former layout. The folder itself moves, with its owner, mode,
# labels and lists; then the instances' folders move out of it.
to_new() {
  for folder in "$place"/*; do ! is_instance "$folder" || :; done # refuses what cannot be told
  if [ "$linked" ] || mounted; then
    mode=$(stat -c %a -- "$place") uid=$(owner "$place") gid=$(stat -c %g -- "$place")
    mark
    own "$place"
    make_default "$mode" "$uid:$gid"
    push
  else
    real "$place+new" || mkdir "$place+new"
    real "$place+new/+moving" || mkdir "$place+new/+moving"
    mv -T "$place" "$place+new/+default"
    mv -T "$place+new" "$place"
  fi
  pull
}

# make_default MODE OWNER: +default, which has its owner when it is there.
make_default() {
  ! there "$place/+default" || return 0
  mkdir -p "$place"
  ! real "$place/+making" || rmdir "$place/+making"
  mkdir -m "$1" "$place/+making"
  chown "$2" "$place/+making"
  mv -T "$place/+making" "$place/+default"
}

# push: everything but instances' folders into +default, where the folder cannot
# be renamed. It is root's already: nobody else changes what is in it.
push() {
  for entry in "$place"/* "$place"/.[!.]* "$place"/..?*; do
    case ${entry##*/} in +* | lost+found) continue ;; esac
    there "$entry" || continue
    ! is_instance "$entry" || continue
    [ ! -L "$entry" ] || case $(readlink "$entry") in +default/*) continue ;; esac
    ! there "$place/+default/${entry##*/}" || refuse "$named/${entry##*/} and $named/+default/${entry##*/} are both there: remove the one that is not wanted"
    mv -T "$entry" "$place/+default/${entry##*/}"
  done
}

# pull: instances' folders out of +default, whose owner may have changed them for
# something else at the last moment.
pull() {
  for folder in "$place"/+default/*; do
    is_instance "$folder" || continue
    name=${folder##*/}
    ! real "$place/$name" || rmdir "$place/$name" 2>/dev/null || refuse "$named/$name and $named/+default/$name are both there: remove the one that is not wanted"
    mv -T "$folder" "$place/$name"
    real "$place/$name" || {
      mv -T "$place/$name" "$folder"
      refuse "$named/+default/$name changed while it was moved: it is no folder"
    }
  done
  unmark
}

# to_former: as an older version expects it. Wherever this is killed, that version
# finds each file in its place, itself or by a link, and SQLite's logs beside their
# database: nobody finishes it there, where this program is gone. A folder that the
# admin has in it is away for a moment, and the version does not start without it.
to_former() {
  own "$place"
  real "$place/+default" || refuse "$named/+default is no folder: remove it"
  mark
  mode=$(stat -c %a -- "$place/+default") uid=$(owner "$place/+default") gid=$(stat -c %g -- "$place/+default")
  clear_logs
  each lonely
  each lead
  each lift
  unmark
  rmdir "$place/+default"
  chown "$uid:$gid" "$place" # where this is killed before, that version's unit does it
  chmod "$mode" "$place"
}

# each FUNCTION: of each entry of +default, and where it goes.
each() {
  for entry in "$place"/+default/* "$place"/+default/.[!.]* "$place"/+default/..?*; do
    ! there "$entry" || "$1" "$entry" "$place/${entry##*/}"
  done
}

# lonely ENTRY FORMER: nothing else is in its former place.
lonely() {
  there "$2" || return 0
  case $(readlink "$2") in +default/*) return 0 ;; esac
  refuse "$named/${1##*/} and $named/+default/${1##*/} are both there: remove the one that is not wanted"
}

# lead ENTRY FORMER: it is found in both places. What SQLite keeps beside a database
# it looks for where the database itself is, not where a link to it is.
lead() {
  case $1 in
  *-wal | *-shm | *-journal)
    if [ -f "${1%-*}" ]; then
      ln "$1" "$2"
      return
    fi
    ;;
  esac
  there "$2" || ln -s "+default/${1##*/}" "$2"
}

# lift ENTRY FORMER: it is found in the former place alone.
lift() {
  if real "$1"; then
    rm -f -- "$2" # a link, whose place no folder takes
  elif [ ! -L "$2" ]; then
    rm -f -- "$1" # a log, which is in both
    return
  fi
  mv -T "$1" "$2"
}

# clear_logs: what SQLite kept beside a database that is no longer there, as a
# to_former that was killed leaves it.
clear_logs() {
  for log in "$place"/*-wal "$place"/*-shm "$place"/*-journal; do
    there "$log" || continue
    case $(readlink "${log%-*}") in +default/*) rm -f -- "$log" ;; esac
  done
  for log in "$place"/+default/*-wal "$place"/+default/*-shm "$place"/+default/*-journal; do
    there "$log" || continue
    base=${log##*/} base=${base%-*}
    if there "$place/+default/$base" || [ ! -f "$place/$base" ] || [ -L "$place/$base" ]; then continue; fi
    rm -f -- "$log"
  done
}

# is_former: the state is in the former layout.
is_former() {
  [ -d "$place" ] || return 1
  there "$place/+default" && return 1
  [ "$(owner "$place")" -ne 0 ] || left_behind
}

# stopped: nothing uses what is to be moved. Instances may run while the former
# layout is left: what is open, mounted and entered moves along.
stopped() {
  [ "$settling" ] || instances=$(running "spire-$role@*.service")
  [ "$pid" -eq 0 ] || refuse "$unit still runs as another version left it, and its state is to move: systemctl restart $unit"
  [ "$want" = new ] || [ -z "$instances" ] ||
    refuse "instances still run as another version left them, and their state is to move: systemctl restart $unit 'spire-$role@*.service'"
}

arrange_new() {
  if [ -d "$place" ] && there "$place/+default"; then
    [ "$(owner "$place")" -eq 0 ] || real "$place/+default" || refuse "$named/+default is no folder, and $named is not root's: remove it"
    if ! there "$place/+moving" && left_behind; then
      filled "$place/+default" &&
        refuse "$file is of the former layout, and $named/+default has state, too: put what is wanted into $named/+default, and remove the other"
      rmdir "$place/+default"
    fi
  fi
  if there "$place/+moving" && { [ "$(owner "$place")" -eq 0 ] || real "$place/+default"; }; then
    stopped
    own "$place"
    [ ! -L "$place/+moving" ] || rm -f -- "$place/+moving"
    mark
    clear_logs
    make_default 0700 "${user:-0}:$group"
    push
    pull
  elif is_former; then
    stopped
    to_new
  elif [ -d "$place" ] && [ "$(owner "$place")" -ne 0 ]; then
    own "$place"
  fi
  [ "$load" != masked ] || return 0
  make_default 0700 "${user:-0}:$group"
  links
}

arrange_former() {
  [ -d "$place" ] && real "$place/+default" || return 0
  there "$place/+moving" || ! filled "$place/+default" || ! left_behind || refuse "$file is of the former layout, and $named/+default has state, too: put what is wanted into $named/+default, and remove the other"
  stopped
  to_former
}

# warn: instances below a folder that is not root's.
warn() {
  [ -d "$place" ] && [ "$(owner "$place")" -ne 0 ] || return 0
  for folder in "$place"/*; do
    real "$folder" || continue
    configured "${folder##*/}" || continue
    echo "$named belongs to a service, by a unit of this host's own: its user can become root when spire-$role@${folder##*/} starts. See spire-$role(1)" >&2
    return
  done
}

linked='' settling='' instances=''
if [ -L "$place" ]; then
  [ "$(owner "$place")" -eq 0 ] || refuse "$named is a link that is not root's: remove it"
  linked=yes
  place=$(readlink -f "$place")
fi

if [ "${2-}" = settle ]; then
  settling=yes
  ask_files
  [ "$want" = former ] && { there "$place/+default" || there "$place+new"; } || exit 0
  units=''
  if [ -z "$root" ] && [ -d /run/systemd/system ]; then
    units=$(running "$unit" "spire-$role@*.service")
    # shellcheck disable=SC2086 # a list
    [ -z "$units" ] || systemctl stop $units
  fi
  finish
  arrange_former
  if [ -n "$units" ]; then
    systemctl daemon-reload
    # shellcheck disable=SC2086 # a list
    systemctl start $units
  fi
  exit 0
fi

ask
finish
case $want in
new) arrange_new ;;
former)
  arrange_former
  warn
  ;;
own) warn ;;
esac
