"""Counts requests in Redis, exactly and for all instances together: a log of the last ones, one script per question."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from app.core.redis import Redis, RedisUnavailable
from app.core.redis_script import Script

SECOND = 1_000_000  # in the script's unit, which is that of Redis's TIME

# A list per window, newest first, of when its requests passed; so never more than `most` members, of some 10 bytes.
# GCRA (ITU-T I.371) and fixed windows would need one number, but let through up to twice as many in some window: a
# full burst, and what has become free since. An estimate from two fixed windows can err either way.
#
# Time is Redis's own, so that clocks of instances need not agree. All windows are asked before any is counted: a
# request that is refused counts nowhere, else a client that keeps knocking would never get in again. Few of the
# members that have left are dropped at a time, as nobody else is served meanwhile; one is enough for the decision.
# A log from beyond the next window was written before the clock was set back, and would shut its caller out until then.
TAKE = Script(
    """
local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]
local passes, limit, left, wait = 1, 0, math.huge, 0
for i, key in ipairs(KEYS) do
  local most, window = tonumber(ARGV[2 * i - 1]), tonumber(ARGV[2 * i])
  if tonumber(redis.call('LINDEX', key, 0) or now) > now + window then
    redis.call('DEL', key)
  end
  local oldest = redis.call('LINDEX', key, -1)
  for _ = 1, 100 do
    if not oldest or tonumber(oldest) > now - window then break end
    redis.call('RPOP', key)
    oldest = redis.call('LINDEX', key, -1)
  end
  local free = most - redis.call('LLEN', key)
  if free <= 0 then
    passes = 0
    wait = math.max(wait, tonumber(oldest or now) + window - now)
  end
  if free < left then
    limit, left = most, free
  end
end
if passes == 1 then
  for i, key in ipairs(KEYS) do
    redis.call('LPUSH', key, string.format('%.0f', now))
    redis.call('PEXPIRE', key, ARGV[2 * i] / 1000 + 10)
  end
end
return {passes, limit, math.max(left - passes, 0), wait}
"""
)
# The margin of 10 ms above: a key's expiry is counted in whole milliseconds.


@dataclass(frozen=True, slots=True)
class Window:
    """At most `requests` in any `per` seconds; all that share the `key` are counted together."""

    key: str
    requests: int
    per: int


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether a request passes; `limit` and `remaining` are those of the window that has least left."""

    passes: bool
    limit: int
    remaining: int
    retry_after: int  # seconds until every window has room again; 0 where it passes


async def take(redis: Redis, windows: Sequence[Window]) -> Decision:
    """Count one request in every window, or in none where one of them is full: one round trip.

    Raises `RedisUnavailable` also where Redis answers with an error: whoever counts can't tell the difference.
    """
    keys = [window.key for window in windows]
    sizes = [size for window in windows for size in (window.requests, window.per * SECOND)]
    try:
        passes, limit, remaining, wait = await TAKE.run(redis, keys, sizes)
    except Exception as error:
        if not _is_from_redis(error):
            raise
        raise RedisUnavailable from error
    return Decision(bool(passes), limit, remaining, math.ceil(wait / SECOND))


async def forget(redis: Redis, window: Window) -> None:
    """As if nothing had been counted in the window. Raises `RedisUnavailable`, as `take` does."""
    try:
        await redis.execute("DEL", window.key)
    except Exception as error:
        if not _is_from_redis(error):
            raise
        raise RedisUnavailable from error


def _is_from_redis(error: Exception) -> bool:
    from redis.exceptions import RedisError  # noqa: PLC0415  (see app/core/redis.py)

    return isinstance(error, RedisError)
