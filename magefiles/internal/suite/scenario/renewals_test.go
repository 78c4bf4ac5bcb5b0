package scenario

import (
	"strings"
	"testing"
)

// TestHeld: of what an agent gave meanwhile, the scenarios count what was renewed and what
// failed, and find an identity that ended, a time without renewals, and an agent that says
// nothing.
func TestHeld(t *testing.T) {
	t.Parallel()
	// Seconds since 1700000000, which identity, and until when.
	const good = "0 a 30|0 b 40|9 a 69|9 b 40|15 a 69|15 b 75"
	const journal = `1700000000.1 spire-agent[1]: msg="Renewing X509-SVID" spiffe_id=b
1700000003.1 spire-agent[1]: msg="Renewing X509-SVID" spiffe_id=a
1700000003.2 spire-agent[1]: msg="Renewing X509-SVID" spiffe_id=b
1700000004.0 spire-agent[1]: level=error msg="Synchronize failed"
1700000008.0 spire-agent[1]: msg="Renewing X509-SVID" spiffe_id=a
1700000014.0 spire-agent[1]: level=error msg="Synchronize failed"
`
	for name, c := range map[string]struct{ given, journal, want string }{
		"all went well":   {good, "", "ok: x: 2 renewals tried, 0 failed, none for 9 s at most; the least time that an identity had left was 30 s"},
		"some failed":     {good, journal, "ok: x: 5 renewals tried, 3 failed, none for 9 s at most; the least time that an identity had left was 30 s"},
		"one ended":       {"0 a 9|0 b 40|9 a 9|9 b 40|15 a 69|15 b 75", "", "FAIL: x, expected no identity to end, got one with 0 s left"},
		"one is left out": {"0 a 30|0 b 15|9 a 69|15 a 69", "", "FAIL: x, expected no identity to end, got one with -5 s left"},
		"no renewal":      {"0 a 30|0 b 40|9 a 30|9 b 40|15 a 30|15 b 40", "", "FAIL: x, expected a renewal at least each 12 s, got none for 20 s"},
		"a late one":      {"0 a 30|0 b 40|9 a 30|9 b 40|13 a 69|13 b 75|19 a 69|19 b 75", "", "FAIL: x, expected a renewal at least each 12 s, got none for 13 s"},
		"silence":         {"0 a 30|0 b 40|11 a 69|11 b 75|18 a 69|18 b 75", "", "FAIL: x, expected the agent to give what it has, got nothing for 11 s"},
		"a silent end":    {"0 a 30|0 b 40|9 a 69|9 b 75", "", "FAIL: x, expected the agent to give what it has, got nothing for 11 s"},
		"one is gone":     {"0 a 30|9 a 69|15 a 99", "", "FAIL: x: identities, expected '2', got '1'"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			script := `. "$LIB/renewals.sh"
NUMBER=2 NOTES=$(mktemp -d)
began=1700000000
:& watching=$!
`
			for line := range strings.SplitSeq(c.given, "|") {
				script += "set -- " + line + `
printf '%s\t%s\t%s UTC\n' $((began + $1)) "$2" "$(date --utc --date "@$((began + $3))" '+%F %T %z')" >>"$NOTES/given"
`
			}
			programs := map[string]string{
				"journalctl": "cat <<'END'\n" + c.journal + "END\n",
				"date":       `case $1 in +%s) echo 1700000020 ;; *) exec /bin/date "$@" ;; esac`,
			}
			said := vocabulary(t, "deb", script+"held x 12\n", programs)
			if got := strings.Split(strings.TrimSpace(said), "\n"); got[len(got)-1] != c.want {
				t.Errorf("it says\n%s\nwant\n%s", said, c.want)
			}
		})
	}
}
