"""What gateways know together of a tied job, as scripts of Redis, by the server's clock. Pure.

A job is a hash: creator and wish; when somebody was last seen to wait for it; whether its creator
was let go; and who cancels it, until when. One that is not there is tied to nobody any more.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b
from typing import TYPE_CHECKING, Final

from gateway.sync.tethers.tether import TetherRecord
from gateway.sync.tethers.wish import Wish

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gateway.redis.connection import Command

PREFIX = "theeye-sync-gateway:tether:"
LIFE_SECONDS: Final = 3600
"""How long a job is known after somebody was last seen."""
CLAIM_SECONDS: Final = 150
"""How long whoever cancels a job is left alone with it: longer than reading and cancelling take."""

_BEGIN = """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local function see(key)
  redis.call('HSET', key, 'seen', string.format('%.0f', now))
  redis.call('PEXPIRE', key, ARGV[1])
end
"""
# ARGV of all: life in milliseconds. Also: creator and wish.
OPEN = (
    _BEGIN
    + """
redis.call('HSET', KEYS[1], 'creator', ARGV[2], 'wish', ARGV[3])
redis.call('HDEL', KEYS[1], 'let_go', 'claimer', 'until')
see(KEYS[1])
return 1
"""
)
# Also: the creator that the caller would be.
LOOK = (
    _BEGIN
    + """
local kept = redis.call('HMGET', KEYS[1], 'creator', 'wish')
if not kept[1] then
  return {}
end
if kept[1] == ARGV[2] then
  redis.call('HDEL', KEYS[1], 'let_go', 'claimer', 'until')
  see(KEYS[1])
end
return kept
"""
)
RENEW = (
    _BEGIN
    + """
for _, key in ipairs(KEYS) do
  if redis.call('EXISTS', key) == 1 then
    see(key)
  end
end
return 1
"""
)
LET_GO = (
    _BEGIN
    + """
if redis.call('EXISTS', KEYS[1]) == 1 then
  redis.call('HSET', KEYS[1], 'let_go', '1')
  see(KEYS[1])
end
return 1
"""
)
# Also: for how long nobody may have been seen, the time of a claim, both in milliseconds, and who
# claims; with 0 for the first that it is let go does not count.
CLAIM = (
    _BEGIN
    + """
local kept = redis.call('HMGET', KEYS[1], 'seen', 'let_go', 'claimer', 'until')
if not kept[1] then
  return 'gone'
end
local unseen = tonumber(ARGV[2])
if unseen > 0 then
  if kept[2] then
    return 'let_go'
  end
  local left = kept[1] + unseen - now
  if left > 0 then
    return string.format('%.0f', left)
  end
end
if kept[3] and kept[3] ~= ARGV[4] and tonumber(kept[4]) > now then
  return string.format('%.0f', kept[4] - now)
end
redis.call('HSET', KEYS[1], 'claimer', ARGV[4], 'until', string.format('%.0f', now + ARGV[3]))
return 'claimed'
"""
)


class TethersUnknown(Exception):
    """Redis does not say what is known of a job."""


@dataclass(frozen=True, slots=True)
class Claimed:
    """Whoever claimed may cancel the job."""


@dataclass(frozen=True, slots=True)
class Untied:
    """The job has ended, or nobody knows of it any more, or its creator was let go."""


@dataclass(frozen=True, slots=True)
class Seen:
    """Somebody waits for it, or cancels it."""

    seconds: float
    """Until it may be claimed if nobody is seen until then."""


Claim = Claimed | Untied | Seen


def key_of(job_id: str) -> str:
    """Of a job in lower case: a hash."""
    return PREFIX + blake2b(job_id.encode(), digest_size=16, person=b"tethered job").hexdigest()


def opening(job_id: str, record: TetherRecord) -> Command:
    return _evaluated(OPEN, (job_id,), record.creator, _written(record.wish))


def look(job_id: str, creator: bytes) -> Command:
    return _evaluated(LOOK, (job_id,), creator)


def renewal(job_ids: Sequence[str]) -> Command:
    return _evaluated(RENEW, job_ids)


def letting_go(job_id: str) -> Command:
    return _evaluated(LET_GO, (job_id,))


def claim(job_id: str, claimer: bytes, unseen_seconds: float) -> Command:
    """``unseen_seconds``: 0 where the creator itself wants it cancelled."""
    unseen, life = int(unseen_seconds * 1000), CLAIM_SECONDS * 1000
    return _evaluated(CLAIM, (job_id,), unseen, life, claimer)


def end(job_id: str) -> Command:
    return ("DEL", key_of(job_id))


def record_of(reply: object) -> TetherRecord | None:
    """Read what a look returns, None where the job is not tied.

    Raises:
        ValueError: it is none of that.
    """
    match reply:
        case []:
            return None
        case [bytes(creator), bytes(wish)]:
            return TetherRecord(creator, Wish(b"t" in wish, b"d" in wish))
    raise ValueError("no record")


def claim_of(reply: object) -> Claim:
    """Read what a claim returns.

    Raises:
        ValueError: it is none of that.
    """
    match reply:
        case b"claimed":
            return Claimed()
        case b"gone" | b"let_go":
            return Untied()
        case bytes(milliseconds):
            return Seen(int(milliseconds) / 1000)
    raise ValueError("no claim")


def _written(wish: Wish) -> str:
    return "t" * wish.on_timeout + "d" * wish.on_disconnect


def _evaluated(script: str, job_ids: Sequence[str], *arguments: bytes | str | int) -> Command:
    keys = [key_of(job_id) for job_id in job_ids]
    return ("EVAL", script, len(keys), *keys, LIFE_SECONDS * 1000, *arguments)
