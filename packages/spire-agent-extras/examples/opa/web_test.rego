# opa test . says whether the policy does what was meant. Not for /etc/opa/policies.
package web_test

test_the_program_reads if {
	data.web.permit with data.web.spiffe_id as "spiffe://example.org/app" with input as {"method": "GET", "path": "/"}
}

test_it_does_not_write if {
	not data.web.permit with data.web.spiffe_id as "spiffe://example.org/app" with input as {"method": "POST", "path": "/"}
}

test_nobody_else_reads if {
	not data.web.permit with data.web.spiffe_id as "spiffe://example.org/application" with input as {"method": "GET", "path": "/"}
}

test_without_a_certificate_nobody_does if {
	not data.web.permit with input as {"certificate": "", "method": "GET", "path": "/"}
}

test_a_path_that_could_not_be_asked_about if {
	not data.web.permit with data.web.spiffe_id as "spiffe://example.org/app" with input as {"method": "GET", "path": ""}
}
