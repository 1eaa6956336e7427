from __future__ import annotations

import pytest
from redis.exceptions import ResponseError

from gateway.config import RedisConfig
from gateway.redis.client import connection, has_known_options, reason
from tests.support.redis_server import redis_serving
from tests.support.upstream import Peer, upstream_doing


@pytest.mark.parametrize("options", [(), ("--rename-command", "HELLO", "")])
async def test_connection_speaks_what_every_redis_understands(options: tuple[str, ...]) -> None:
    """One without HELLO is a Redis 5, or a proxy that does not know the command."""
    async with redis_serving(*options) as server:
        made = connection(RedisConfig(url=server.url))
        await made.connect()  # type: ignore[no-untyped-call]
        await made.send_command("PING")
        assert await made.read_response() == b"PONG"
        await made.disconnect()


async def test_connection_sends_nothing_of_its_own() -> None:
    """A proxy closes connections on which a command comes that it does not know."""
    sent = b""

    async def pong(peer: Peer) -> None:
        nonlocal sent
        sent = await peer.reader.readuntil(b"PING\r\n")
        await peer.answer(b"+PONG\r\n")

    async with upstream_doing(pong) as script:
        made = connection(RedisConfig(url=script.url.replace("http", "redis")))
        await made.connect()  # type: ignore[no-untyped-call]
        await made.send_command("PING")
        assert await made.read_response() == b"PONG"
        await made.disconnect()
    assert sent == b"*1\r\n$4\r\nPING\r\n"


def test_options_of_the_url_are_known_or_not() -> None:
    assert has_known_options(RedisConfig(url="redis://r?db=3"))
    assert not has_known_options(RedisConfig(url="redis://r?unheard_of=3"))


def test_connection_has_no_time_limits_whatever_the_url_says() -> None:
    made = connection(RedisConfig(url="redis://r?socket_timeout=1&socket_connect_timeout=1"))
    assert made.socket_timeout is None
    assert made.socket_connect_timeout is None


def test_reason_is_one_short_line_in_the_servers_words() -> None:
    told = reason(ResponseError("MISCONF no\r\n\x1b[31m disk " + "x" * 1000))
    assert told.startswith("ResponseError: 'MISCONF no\\r\\n\\x1b[31m disk xxx")
    assert told.isprintable()
    assert len(told) < 250
