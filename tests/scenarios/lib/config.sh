# shellcheck shell=sh disable=SC2034 # answers are for the scenarios
# What the scenarios of spire-config share.

# other NAME: the version of a package of another source that was built, or nothing.
other() { printf '%s\n' "$OTHERS" | tr ' ' '\n' | sed -n "s/^$1:\([^:]*\):.*/\1/p"; }
CONFIG=$(other spire-config)

# settings: a digest of all configuration, which a refusal leaves as it is.
settings() { find /etc/spire /etc/systemd/system -type f -exec sha256sum {} + | sort | sha256sum; }

# refuses WHAT WORDS COMMAND...: and changes nothing.
refuses() {
    refused=$1 words=$2
    shift 2
    before=$(settings)
    answers "$refused is refused" 1 "$words" "$@"
    same "after $refused, the settings" "$before" "$(settings)"
}
