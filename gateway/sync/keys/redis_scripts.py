"""The decisions on keys as scripts of Redis: MemoryKeys in Lua, by the server's clock. Pure.

A key is a hash of fields. What is not under way any more stands in its caller's index, by the time
of its settlement, so that the oldest can make room; an index lives as long as its youngest key.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.sync.keys.state import ABSENT, LEASE_SECONDS, KeyRecord, KeyState

if TYPE_CHECKING:
    from gateway.redis.connection import Command
    from gateway.sync.keys.state import KeyName

PREFIX = "theeye-sync-gateway:idempotency:"
_CALLER = "caller:"

# ARGV of all: sender, fingerprint, lease and life of a key in milliseconds.
_BEGIN = """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local kept = redis.call('HMGET', KEYS[1], 'state', 'sender', 'lease', 'since', 'fingerprint',
  'sealed')
local function begin()
  redis.call('HSET', KEYS[1], 'state', 'sending', 'sender', ARGV[1], 'fingerprint', ARGV[2],
    'lease', string.format('%.0f', now + ARGV[3]), 'since', string.format('%.0f', now))
  redis.call('PEXPIRE', KEYS[1], ARGV[4])
end
"""
CLAIM = (
    _BEGIN
    + """
if not kept[1] then
  begin()
  return {'absent', '', '', 0}
end
local state = kept[1]
if state == 'sending' then
  if kept[2] == ARGV[1] then
    return {'absent', '', '', 0}
  end
  if tonumber(kept[3]) <= now then
    state = 'unknown'
  end
end
return {state, kept[5], kept[6] or '', math.max(0, now - tonumber(kept[4]))}
"""
)
RENEW = (
    _BEGIN
    + """
if not kept[1] then
  begin()
elseif kept[1] == 'sending' and kept[2] == ARGV[1] then
  redis.call('HSET', KEYS[1], 'lease', string.format('%.0f', now + ARGV[3]))
end
return 1
"""
)
# Also: state, what is sealed, how many keys the caller may have, prefix and name of the key.
SETTLE = (
    _BEGIN
    + """
if kept[1] and (kept[2] ~= ARGV[1] or kept[1] ~= 'sending') then
  return 0
end
if ARGV[5] == 'absent' then
  redis.call('DEL', KEYS[1])
  return 1
end
if not kept[1] then
  begin()
end
local since = string.format('%.0f', now)
redis.call('HSET', KEYS[1], 'state', ARGV[5], 'sealed', ARGV[6], 'since', since)
redis.call('ZADD', KEYS[2], since, ARGV[9])
redis.call('PEXPIRE', KEYS[2], ARGV[4])
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', string.format('%.0f', now - ARGV[4]))
local over = redis.call('ZCARD', KEYS[2]) - ARGV[7]
if over > 0 then
  for _, name in ipairs(redis.call('ZRANGE', KEYS[2], 0, over - 1)) do
    redis.call('DEL', ARGV[8] .. name)
  end
  redis.call('ZREMRANGEBYRANK', KEYS[2], 0, over - 1)
end
return 1
"""
)


def key_of(name: KeyName) -> str:
    return PREFIX + name.digest.hex()


def claim(name: KeyName, fingerprint: bytes, sender: bytes, life_seconds: float) -> Command:
    return ("EVAL", CLAIM, 1, key_of(name), *_common(sender, fingerprint, life_seconds))


def renewal(name: KeyName, fingerprint: bytes, sender: bytes, life_seconds: float) -> Command:
    return ("EVAL", RENEW, 1, key_of(name), *_common(sender, fingerprint, life_seconds))


def settlement(
    name: KeyName, record: KeyRecord, sender: bytes, life_seconds: float, most: int
) -> Command:
    """``most``: how many keys a caller may have."""
    index = PREFIX + _CALLER + name.caller.hex()
    return (
        *("EVAL", SETTLE, 2, key_of(name), index),
        *_common(sender, record.fingerprint, life_seconds),
        *(record.state.value, record.sealed, most, PREFIX, name.digest.hex()),
    )


def record_of(reply: object) -> KeyRecord:
    """Read what a claim returns.

    Raises:
        ValueError: it is none of that.
    """
    match reply:
        case [bytes(state), bytes(fingerprint), bytes(sealed), int(age)]:
            if state == b"absent":
                return ABSENT
            return KeyRecord(KeyState(state.decode("latin-1")), fingerprint, sealed, age / 1000)
    raise ValueError("no record")


def _common(sender: bytes, fingerprint: bytes, life_seconds: float) -> Command:
    return (sender, fingerprint, int(LEASE_SECONDS * 1000), int(life_seconds * 1000))
