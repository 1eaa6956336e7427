"""What no single setting shows: values that do not go together, or are no address at all."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from importlib.util import find_spec
from ipaddress import ip_address, ip_network
from typing import TYPE_CHECKING

from yarl import URL

from gateway.admission.identity import key_files
from gateway.admission.identity.key_files import UnusableKey
from gateway.cli.checking.contradiction import Contradiction
from gateway.cli.checking.files import unusable_files
from gateway.config.addresses import has_user, http_url
from gateway.ops.traces import settings as trace_settings
from gateway.redis import client as redis_client
from gateway.sync.kept.seal import read_keys
from gateway.sync.tethers.sharing import obstacle, wants_cancelling

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from gateway.config import Config, IdentityConfig, RedisConfig, Rule, SyncConfig

_SOCKET = re.compile(r"unix:/[!-~]+")
_LOCAL_NAMES = frozenset({"localhost", "ip6-localhost"})


@dataclass(frozen=True, slots=True)
class Platform:
    """What some settings need."""

    has_redis: bool
    """The extra "redis" is installed."""
    has_workers: bool
    """Sockets can be handed to other processes."""
    has_otel: bool = True
    """The extra "otel" is installed."""


HERE = Platform(
    has_redis=find_spec("redis") is not None,
    has_workers=os.name != "nt",
    has_otel=find_spec("opentelemetry") is not None,
)


def contradictions(config: Config, platform: Platform = HERE) -> Iterator[Contradiction]:
    """All rules broken by settings that are each allowed on their own."""
    yield from _upstream(config)
    yield from _listeners(config)
    yield from unusable_files(config)
    if config.listen.workers != 1 and not platform.has_workers:
        yield Contradiction(("listen.workers",), "listen.workers must be 1 on Windows")
    yield from _trusted_proxies(config.listen.trusted_proxies)
    yield from _identity(config.identity)
    yield from _redis(config.redis, platform)
    yield from _result_store(config.sync, config.redis)
    yield from _cancelling(config)
    for key, message in trace_settings.problems(config.traces, has_otel=platform.has_otel):
        yield Contradiction((key,), message)
    yield from _rules(config.limits.rules, verifies=config.identity.mode == "verify")
    if config.limits.buffered_bytes < config.limits.result_bytes:
        yield Contradiction(
            ("limits.buffered_bytes", "limits.result_bytes"),
            f"limits.buffered_bytes ({config.limits.buffered_bytes}) must not be below"
            f" limits.result_bytes ({config.limits.result_bytes})",
        )
    for low, high in (
        ("default_hold_seconds", "max_hold_seconds"),
        ("min_poll_seconds", "max_poll_seconds"),
    ):
        least, most = getattr(config.sync, low), getattr(config.sync, high)
        if least > most:
            yield Contradiction(
                (f"sync.{low}", f"sync.{high}"),
                f"sync.{low} ({least}) must not be above sync.{high} ({most})",
            )


def _upstream(config: Config) -> Iterator[Contradiction]:
    if _SOCKET.fullmatch(config.upstream.url):
        return
    url = _origin(config.upstream.url)
    if url is None:
        yield Contradiction(
            ("upstream.url",),
            "upstream.url must be http://host:port or https://host:port,"
            " without user, path or query, or unix:/path",
        )
    elif url.port == config.listen.port and _reaches(url.host or "", config.listen.host):
        yield Contradiction(
            ("upstream.url", "listen.port", "listen.host"),
            f"upstream.url ({url.origin()}) is the gateway's own address, requests would go round"
            " in circles",
        )


def _origin(text: str) -> URL | None:
    url = http_url(text)
    is_origin = (
        url is not None
        and not has_user(url)
        and url.raw_path in {"", "/"}
        and not text.rstrip("/").endswith(("?", "#"))
        and not url.raw_query_string
        and not url.raw_fragment
    )
    return url if is_origin else None


def _listeners(config: Config) -> Iterator[Contradiction]:
    listen, admin = config.listen, config.admin
    if listen.port != admin.port or listen.port == 0:
        return
    if listen.host == admin.host or _is_wildcard(listen.host) or _is_wildcard(admin.host):
        yield Contradiction(
            ("admin.port", "listen.port"),
            f"admin.port and listen.port are both {admin.port}, they must differ",
        )


def _trusted_proxies(networks: tuple[str, ...]) -> Iterator[Contradiction]:
    for network in networks:
        try:
            ip_network(network)
        except ValueError:
            yield Contradiction(
                ("listen.trusted_proxies",),
                f'listen.trusted_proxies: "{network}" is no IP network,'
                " such as 10.0.0.0/8 or 192.0.2.7",
            )


def _identity(identity: IdentityConfig) -> Iterator[Contradiction]:
    given = [name for name in _KEYS if getattr(identity, name)]
    keys = tuple(f"identity.{name}" for name in given)
    if identity.mode == "verify" and not given:
        yield Contradiction(
            ("identity.mode",),
            'identity.mode "verify" needs one of ' + ", ".join(f"identity.{key}" for key in _KEYS),
        )
    if len(given) > 1:
        yield Contradiction(keys, f"only one of {' and '.join(keys)} can be set")
    for name in given:
        try:
            _KEYS[name](getattr(identity, name))
        except UnusableKey as failure:
            # Of a secret nothing is shown.
            shown = f' "{getattr(identity, name)}"' if name.endswith("_file") else ""
            yield Contradiction((f"identity.{name}",), f"identity.{name}{shown}: {failure}")


def _jwks_url(text: str) -> None:
    if http_url(text) is None:
        raise UnusableKey("it must be an address, such as https://login.example/jwks.json")


_KEYS: Mapping[str, Callable[[str], object]] = {
    "secret": lambda secret: key_files.checked_secret(secret.encode()),
    "secret_file": key_files.shared_secret,
    "public_key_file": key_files.public_key,
    "jwks_url": _jwks_url,
}
"""What tokens can be verified with, and what shows whether it is usable."""


def _redis(redis: RedisConfig, platform: Platform) -> Iterator[Contradiction]:
    if not redis.url:
        return
    if not platform.has_redis:
        yield Contradiction(
            ("redis.url",),
            'redis.url needs the extra "redis": pip install "redis>=6,<9"',
        )
    elif not redis_client.is_url(redis.url):
        yield Contradiction(
            ("redis.url",),
            "redis.url must be redis://host:port/0, rediss://host:port/0 or unix:///path",
        )
    elif not redis_client.has_known_options(redis):
        yield Contradiction(
            ("redis.url",),
            'redis.url has an option behind "?" that is unknown, or has a wrong value',
        )


def _result_store(sync: SyncConfig, redis: RedisConfig) -> Iterator[Contradiction]:
    if sync.result_store == "redis":
        for key, value in (("redis.url", redis.url), ("sync.seal_key_file", sync.seal_key_file)):
            if not value:
                yield Contradiction(
                    ("sync.result_store", key), f'sync.result_store "redis" needs {key}'
                )
    if sync.seal_key_file:
        try:
            read_keys(sync.seal_key_file)
        except UnusableKey as failure:
            yield Contradiction(
                ("sync.seal_key_file",),
                f'sync.seal_key_file "{sync.seal_key_file}": {failure}',
            )


def _cancelling(config: Config) -> Iterator[Contradiction]:
    reason = obstacle(config)
    for setting in wants_cancelling(config) if reason else ():
        yield Contradiction((setting, "listen.workers"), f'{setting} "cancel": {reason}')


def _rules(rules: Sequence[Rule], *, verifies: bool) -> Iterator[Contradiction]:
    for number, rule in enumerate(rules, start=1):
        claims = {"organization", "credential", "user"}
        named = [name for name in sorted(claims) if getattr(rule, name) is not None]
        if named and not verifies:
            yield Contradiction(
                ("limits.rules", "identity.mode"),
                f"limits.rules: number {number}: names {named[0]}, which only identity.mode"
                ' "verify" can know; a token_hash can be named in any mode',
            )
        if not named and rule.token_hash is None:
            yield Contradiction(
                ("limits.rules",),
                f"limits.rules: number {number}: names no organization, credential, user or"
                " token_hash, so it would be for everybody",
            )


def _reaches(host: str, listening: str) -> bool:
    if host == listening or _is_wildcard(host):
        return True
    return _is_loopback(host) and (_is_wildcard(listening) or _is_loopback(listening))


def _is_wildcard(host: str) -> bool:
    return host in {"", "0.0.0.0", "::"}


def _is_loopback(host: str) -> bool:
    if host in _LOCAL_NAMES:
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
