-- Runs a script of Envoy's Lua filter in Envoy's place, which the distributions do not have:
--
--   luajit envoy.lua SCRIPT CERTIFICATE METHOD PATH
--
-- for one request, of whoever has that certificate. It says 200 where the script lets the
-- request pass, or the status that it responds with. Like Envoy it runs the script as a
-- coroutine, which each call by HTTP suspends; a failed call is a status 503, and a script
-- that fails lets the request pass.
local script, file, method, path = unpack(arg)

local function read(name)
  local handle = assert(io.open(name))
  local text = handle:read("*a")
  handle:close()
  return text
end

-- The certificate, without what comes after it, as Envoy hands it over.
local function escaped()
  local pem = read(file):match("^(.-%-%-%-%-%-END CERTIFICATE%-%-%-%-%-\n)")
  return (pem:gsub("[\n+/= ]", function(c) return string.format("%%%02X", c:byte()) end))
end

local function quoted(text) return "'" .. text:gsub("'", "'\\''") .. "'" end

-- The one cluster that is called is OPA's socket.
local function call(cluster, headers, body, timeout)
  assert(cluster == "opa" and headers[":authority"] and timeout > 0)
  local curl = io.popen(table.concat({ "curl --silent --output /dev/null --write-out '%{http_code}' --unix-socket /run/opa/public/opa.sock",
    "--request", headers[":method"], "--header", quoted("content-type: " .. headers["content-type"]),
    "--data-binary", quoted(body), quoted("http://opa" .. headers[":path"]) }, " "))
  local status = curl:read("*a")
  curl:close()
  return { [":status"] = status == "000" and "503" or status }
end

local request = {
  headers = function() return { get = function(_, name) return ({ [":method"] = method, [":path"] = path })[name] end } end,
  streamInfo = function()
    return { downstreamSslConnection = function() return { urlEncodedPemEncodedPeerCertificate = escaped } end }
  end,
  httpCall = function(_, ...) return coroutine.yield("call", ...) end,
  respond = function(_, headers) return coroutine.yield("respond", headers) end,
}

dofile(script)
local filter = coroutine.create(envoy_on_request)
local step = { coroutine.resume(filter, request) }
while step[1] and step[2] == "call" do
  step = { coroutine.resume(filter, call(unpack(step, 3))) }
end
print(step[1] and step[2] == "respond" and step[3][":status"] or "200")
