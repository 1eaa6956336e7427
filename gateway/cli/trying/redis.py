"""Trying Redis: a connection, a ping, a script, and whether it forgets what it must keep."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from redis.exceptions import ResponseError

from gateway.cli.trying.finding import Finding, Grade
from gateway.protocols.theeye.redaction import redacted_address
from gateway.redis.connection import RedisConnection, Unusable
from gateway.redis.eviction import eviction_policy

if TYPE_CHECKING:
    from gateway.config import RedisConfig

_SCRIPT = ("EVAL", "return 1", 0)
_COMMANDS = "the commands that its user needs stand in docs/operations.md (Idempotency keys)"


async def try_redis(config: RedisConfig, seconds: float) -> list[Finding]:
    """``seconds`` are for each question. After the first failure nothing more is asked."""
    what = f"redis.url {redacted_address(config.url)}"
    loop = asyncio.get_running_loop()
    connection = RedisConnection(config)
    try:
        began = loop.time()
        await connection.open()
        connected = loop.time() - began
        began = loop.time()
        await connection.replies([("PING",)], seconds)
        answered = loop.time() - began
        [ran] = await connection.replies([_SCRIPT], seconds, (ResponseError,))
    except Unusable as failure:
        hint = "does it run, is this its address, and are user and password right?"
        return [Finding(what, Grade.FAILED, str(failure), hint)]
    finally:
        await connection.close()
    return [
        _of_times(what, connected, answered, config.answer_seconds),
        Finding("redis.url scripts", Grade.FAILED, str(ran), _COMMANDS)
        if isinstance(ran, Exception)
        else Finding("redis.url scripts", Grade.OK, "are run"),
        await _of_eviction(config),
    ]


def _of_times(what: str, connected: float, answered: float, patience: float) -> Finding:
    said = f"connected in {connected * 1000:.1f} ms, answers in {answered * 1000:.1f} ms"
    if answered > patience:
        hint = f"redis.answer_seconds is {patience:g}: it is too slow, or too far away, to be used"
        return Finding(what, Grade.NOTE, said, hint)
    return Finding(what, Grade.OK, said)


async def _of_eviction(config: RedisConfig) -> Finding:
    what = "redis.url maxmemory-policy"
    try:
        policy = await eviction_policy(config)
    except Unusable as failure:
        return Finding(what, Grade.NOTE, f"cannot be asked ({failure})", _COMMANDS)
    if policy in {"", "noeviction"}:
        return Finding(what, Grade.OK, policy or "is not told")
    hint = "set noeviction: else idempotency keys may be forgotten, and jobs be made twice"
    return Finding(what, Grade.NOTE, policy, hint)
