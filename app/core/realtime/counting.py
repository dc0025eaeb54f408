"""The one script in Redis: it counts a topic's messages and publishes them in the same breath."""

from __future__ import annotations

import secrets
from collections.abc import Sequence

from app.core.realtime.messages import Channels, Kind, Position, state_key
from app.core.redis import Redis, Value
from app.core.redis_script import Argument, Script

DAY = 86_400  # seconds that a position is kept after its last use
ERA = "realtime:era"

# One hash per topic: `epoch`, `seq`, and `run`, the process of Redis that counts. A process that took over (a restart,
# a replica) may have lost the last of what was counted and would give the same numbers again, to other messages: a
# client that was away meanwhile would think that it has them. So an epoch ends with its process, and all of them end
# with an era, when there is too much to announce for each topic alone.
#
# ARGV: an epoch for whoever needs one, a kind (empty: only look), the data, then the channel of each key.
COUNT = Script(
    """
local info = redis.pcall('INFO', 'server')
local run = type(info) == 'string' and string.match(info, 'run_id:(%w+)') or ''
run = run .. ':' .. (redis.call('GET', 'ERA') or '')
local clock = redis.call('TIME')
local now = string.format('%.0f', clock[1] * 1000000 + clock[2])
local positions = {}
for i, key in ipairs(KEYS) do
  local state = redis.call('HMGET', key, 'epoch', 'seq', 'run')
  local epoch, seq = state[1], tonumber(state[2])
  if not epoch or not seq or state[3] ~= run then
    epoch, seq = ARGV[1], 0
    redis.call('HSET', key, 'epoch', epoch, 'seq', seq, 'run', run)
  end
  if ARGV[2] ~= '' then
    seq = redis.call('HINCRBY', key, 'seq', 1)
    local head = ARGV[2] .. ' ' .. epoch .. ' ' .. string.format('%.0f', seq) .. ' ' .. now .. ' '
    redis.call('PUBLISH', ARGV[3 + i], head .. ARGV[3])
  end
  redis.call('EXPIRE', key, DAY)
  positions[i] = {epoch, seq}
end
return positions
""".replace("DAY", str(DAY)).replace("ERA", ERA)
)


async def count_and_publish(
    redis: Redis, channels: Channels, kind: Kind, topics: Sequence[str], data: bytes = b""
) -> None:
    """Publish the same on every topic, each with its next number: one round trip.

    Raises `RedisUnavailable`, and Redis's own error where that is what it answers.
    """
    await COUNT.run(redis, _keys(topics), _arguments(channels, kind.value, topics, data))


async def begin_era(redis: Redis) -> None:
    """End all epochs: nobody who was away can think that nothing was missed. Raises as `count_and_publish` does."""
    await redis.execute("INCR", ERA)


def position_command(channels: Channels, topics: Sequence[str]) -> tuple[Argument, ...]:
    """The command that answers with `positions` of these topics; a topic that has none gets its first."""
    return ("EVAL", COUNT.text, len(topics), *_keys(topics), *_arguments(channels, b"", topics, b""))


def positions(answer: Value) -> list[Position]:
    """What `position_command` was answered with."""
    return [Position(epoch.decode(), int(seq)) for epoch, seq in answer]


def _keys(topics: Sequence[str]) -> list[str]:
    return [state_key(topic) for topic in topics]


def _arguments(channels: Channels, kind: bytes, topics: Sequence[str], data: bytes) -> list[Argument]:
    return [secrets.token_hex(8), kind, data, *(channels.of_topic(topic) for topic in topics)]
