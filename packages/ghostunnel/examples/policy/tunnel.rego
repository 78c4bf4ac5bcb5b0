# /etc/ghostunnel/policy.rego: who may connect, by a policy instead of --allow-uri.
package tunnel

import input
import rego.v1

default allow := false

# Anybody below /billing/, and the client.
allow if startswith(identity, "spiffe://example.org/billing/")

allow if identity == "spiffe://example.org/client"

# The certificate has been verified before; a SPIFFE ID is its one URI.
identity := sprintf("%s://%s%s", [uri.Scheme, uri.Host, uri.Path]) if {
	count(input.certificate.URIs) == 1
	uri := input.certificate.URIs[0]
}
