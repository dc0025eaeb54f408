-- What wrk sends: METHOD PATH TOKENS, where TOKENS is a file with a bearer token a line, or `-` for none.
-- All requests are written before the first is sent, so that the client's own work is the same for everybody.
local requests, at = {}, 0

local function body(number)
  return string.format(
    '{"title": "Thing %d", "payload": {"quantity": %d, "tags": ["new", "bench"], "note": "%s"}}',
    number, number % 1000 + 1, string.rep("Written under load. ", 5)
  )
end

function init(args)
  local method, path, tokens = args[1], args[2], args[3]
  local function add(token, number)
    local headers, text = { ["Host"] = "bench" }, nil
    if token then headers["Authorization"] = "Bearer " .. token end
    if method == "POST" then
      headers["Content-Type"] = "application/json"
      text = body(number)
    end
    requests[#requests + 1] = wrk.format(method, path, headers, text)
  end
  if tokens == "-" then return add() end
  local number = 0
  for token in io.lines(tokens) do
    number = number + 1
    add(token, number)
  end
end

function request()
  at = at % #requests + 1
  return requests[at]
end

function done(summary, latency)
  local errors = summary.errors
  io.write(string.format(
    'RESULT {"requests": %d, "microseconds": %d, "p50": %d, "p99": %d, "refused": %d, "broken": %d}\n',
    summary.requests, summary.duration, latency:percentile(50), latency:percentile(99),
    errors.status, errors.connect + errors.read + errors.write + errors.timeout
  ))
end
