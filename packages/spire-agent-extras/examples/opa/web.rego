# /etc/opa/policies/web.rego: may who has this certificate do that? Whoever asks has
# verified the certificate.
package web

default allow := false

# The program reads, whatever there is.
allow if {
	spiffe_id == "spiffe://example.org/app"
	input.method in {"GET", "HEAD"}
	startswith(input.path, "/")
}

# What is asked for: defined, or not. Proxies look at the answer's status, and false would
# be an answer like true.
permit if allow

# A SPIFFE ID is the one URI of a certificate, which comes as PEM in the form of a URL.
spiffe_id := certificate.URIStrings[0] if {
	certificate := crypto.x509.parse_certificates(urlquery.decode(input.certificate))[0]
	count(certificate.URIStrings) == 1
}
