-- /etc/envoy/opa.lua: asks OPA for each request, by what it wants and the certificate that
-- Envoy has verified.

-- The path as Envoy has normalized it, without a question. What cannot be a JSON string as
-- it is, the policy does not see.
local function plain(path)
  path = path:match("^[^?]*")
  return path:match("^[%w/._-]+$") and path or ""
end

local function decision(request)
  local headers = request:headers()
  local question = string.format('{"certificate": "%s", "method": "%s", "path": "%s"}',
    request:streamInfo():downstreamSslConnection():urlEncodedPemEncodedPeerCertificate(),
    headers:get(":method"):match("^%u+$") or "", plain(headers:get(":path")))
  local answer = request:httpCall("opa", {
    [":method"] = "POST",
    [":path"] = "/v0/data/web/permit",
    [":authority"] = "opa",
    ["content-type"] = "application/json",
  }, question, 1000)
  return answer[":status"]
end

-- By pcall: where a script fails, Envoy lets the request pass.
function envoy_on_request(request)
  local asked, status = pcall(decision, request)
  if not asked or status ~= "200" then
    request:respond({ [":status"] = "403" }, "")
  end
end
