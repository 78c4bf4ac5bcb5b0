# shellcheck shell=sh
# What becomes of twenty short-lived identities while something is down.

# How many there are, and how long one lasts, in seconds; the agent renews it at half of that.
NUMBER=20
TTL=120

# What is noted of them.
NOTES=/tmp

# entries NAME: for the user 65534, by the server NAME; not all at once, or they would all be
# renewed at once.
entries() {
    for number in $(seq $NUMBER); do
        quietly server_at "$1" entry create -parentID spiffe://example.org/host -spiffeID "spiffe://example.org/w$number" -selector unix:uid:65534 -x509SVIDTTL $TTL
        [ "$CODE" -eq 0 ] || fail "entry $number, expected it to be made, got $(brief)"
        sleep $((TTL / 2 / NUMBER))
    done
    soon 40 'all identities' 0 "Received $NUMBER svids" as_workload spire-agent api fetch x509
}

# identities: a line each that the agent gives now: seconds, SPIFFE ID, until when.
identities() {
    now=$(date +%s)
    as_workload spire-agent api fetch x509 -timeout 5s 2>/dev/null | awk -v now="$now" -F '\t+' '
        /^SPIFFE ID:/ { id = $2 }
        /^SVID Valid Until:/ { print now "\t" id "\t" $2 }'
}

# watch: what the agent gives, each second, until the file stop is there.
watch() {
    rm -f "$NOTES/stop" "$NOTES/given"
    began=$(date +%s)
    while [ ! -e "$NOTES/stop" ]; do
        identities >>"$NOTES/given" || :
        sleep 1
    done &
    watching=$!
}

# given: what was given, with times as seconds.
given() { cut -f 3 "$NOTES/given" | sed 's/ UTC$//' | date --utc --file=- +%s | paste "$NOTES/given" - | cut -f 1,2,4; }

# renewals: of what was given: how many there were, the longest time without one of any
# identity, the least time that an identity had left, and the longest time in which the agent
# gave nothing.
renewals() {
    awk -v began="$began" -v ended="$ended" -F '\t' '
        BEGIN { last = now = began }
        { if ($1 - now > silent) silent = $1 - now
          left = $3 - $1; if (least == "" || left < least) least = left
          if (until[$2] != "" && $3 != until[$2]) { renewed++; if ($1 - last > gap) gap = $1 - last; last = $1 }
          until[$2] = $3; now = $1 }
        END { if (ended - now > silent) silent = ended - now
              if (ended - last > gap) gap = ended - last
              for (id in until) if (until[id] - ended < least) least = until[id] - ended
              print renewed + 0, gap + 0, least, silent + 0 }'
}

# failures: how many renewals failed since watch, as the agent says: all those of a round
# that failed, and one for a round that failed before it came to them.
failures() {
    journalctl --unit=spire-agent --no-pager --output=short-unix --since "@$began" | awk '
        /Renewing X509-SVID/ { if ($1 - at > 2) round = 0; at = $1; round++ }
        /Synchronize failed|SVID sync failed/ { failed += round ? round : 1; round = 0 }
        END { print failed + 0 }'
}

# held FAULT SECONDS: through all of it there were all identities, none of which had ended,
# and there was no longer time than these seconds in which none was renewed.
held() {
    : >"$NOTES/stop"
    ended=$(date +%s)
    wait "$watching"
    given >"$NOTES/read"
    same "$1: identities" $NUMBER "$(cut -f 2 "$NOTES/read" | sort -u | wc -l)"
    # shellcheck disable=SC2046 # four words, and one
    set -- "$1" "$2" $(renewals <"$NOTES/read") $(failures)
    tried=$(($3 + $7))
    printf '%s|%s|%s|%s|%s\n' "$1" "$tried" "$7" "$4" "$5" >>"$NOTES/faults"
    [ "$5" -gt 0 ] || fail "$1, expected no identity to end, got one with $5 s left"
    [ "$6" -le $((10 * PATIENCE)) ] || fail "$1, expected the agent to give what it has, got nothing for $6 s"
    [ "$4" -le $(($2 * PATIENCE)) ] || fail "$1, expected a renewal at least each $2 s, got none for $4 s"
    ok "$1: $tried renewals tried, $7 failed, none for $4 s at most; the least time that an identity had left was $5 s"
}

# faults: what was held, as a table.
faults() {
    printf '%-44s %8s %8s %10s %10s\n' fault tried failed longest least
    while IFS='|' read -r fault tried failed longest least; do
        printf '%-44s %8s %8s %8s s %8s s\n' "$fault" "$tried" "$failed" "$longest" "$least"
    done <"$NOTES/faults"
}
