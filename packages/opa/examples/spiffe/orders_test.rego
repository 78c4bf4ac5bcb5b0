# opa test . says whether the policy does what was meant. Not for /etc/opa/policies.
package orders_test

test_the_shop_makes_orders if {
	data.orders.allow with input as {"spiffe_id": "spiffe://example.org/shop", "method": "POST"}
}

test_billing_makes_none if {
	not data.orders.allow with input as {"spiffe_id": "spiffe://example.org/billing/eu", "method": "POST"}
}

test_nobody_else_reads if {
	not data.orders.allow with input as {"spiffe_id": "spiffe://example.org/billing", "method": "GET"}
}
