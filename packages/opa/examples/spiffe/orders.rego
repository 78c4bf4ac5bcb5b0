# /etc/opa/policies/orders.rego: may this SPIFFE ID do that? A service asks it with the
# identity that its peer has proven.
package orders

default allow := false

# The shop's front end reads and makes orders, billing reads them.
allow if {
	input.spiffe_id == "spiffe://example.org/shop"
	input.method in {"GET", "POST"}
}

allow if {
	startswith(input.spiffe_id, "spiffe://example.org/billing/")
	input.method == "GET"
}
