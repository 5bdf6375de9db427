-- wrk script: POSTs prepared bodies, each one once, or a single one again and again.
-- Arguments: a file of headers, a file of bodies, how they are in it ("lines" or "whole"), and for
-- how long a connection pauses on average before each request (ms).

local prepared, count, next_one = {}, 0, 0

function init(arguments)
  local pause = tonumber(arguments[4])
  if pause > 0 then
    math.randomseed(1)
    -- Anything up to twice the pause: connections that keep in step would be bursts.
    delay = function() return math.random(0, 2 * pause) end
  end
  local headers = {}
  for line in io.lines(arguments[1]) do
    local name, value = line:match("^(%S+): (.*)$")
    headers[name] = value
  end
  if arguments[3] == "whole" then
    local file = io.open(arguments[2])
    count, prepared[1] = 1, wrk.format("POST", nil, headers, file:read("*a"))
    file:close()
    return
  end
  for body in io.lines(arguments[2]) do
    count = count + 1
    prepared[count] = wrk.format("POST", nil, headers, body)
  end
end

function request()
  if count == 1 then return prepared[1] end
  next_one = next_one + 1
  -- More requests than bodies: answered with 405, which fails the run.
  return prepared[next_one] or wrk.format("DELETE")
end

function done(summary, latency, requests)
  local errors = summary.errors
  local failed = errors.connect + errors.read + errors.write + errors.status + errors.timeout
  io.write(string.format(
    'SUMMARY {"requests": %d, "microseconds": %d, "failed": %d, "p99_microseconds": %d}\n',
    summary.requests, summary.duration, failed, latency:percentile(99)))
end
