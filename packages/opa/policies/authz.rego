# Who may ask opa.service for what. It asks this policy before it answers
# (--authorization=basic); the socket is open to every program of the machine.
#
# https://www.openpolicyagent.org/docs/security#authentication-and-authorization
package system.authz

default allow := false

# Decisions, and whether it is well. Nobody may change policies or data, read the
# policies, or ask questions of its own making: root does by the files.
allow if decision

allow if {
	input.method == "GET"
	input.path[0] == "health"
}

# One document. Without its name, /v1/data would be all that is known.
decision if {
	input.method in {"GET", "POST"}
	input.path[0] in {"v0", "v1"}
	input.path[1] == "data"
	count(input.path) > 2
	input.path[2] != "system"
}

# The default decision.
decision if {
	input.method == "POST"
	input.path in [[], [""]]
}
