from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from gateway.cli.validation import HERE, Platform, contradictions
from gateway.config import (
    AdminConfig,
    Config,
    IdentityConfig,
    LimitsConfig,
    ListenConfig,
    RedisConfig,
    Rule,
    SyncConfig,
    UpstreamConfig,
)
from gateway.sync.kept.seal import new_key
from tests.support.certificates import self_signed

PUBLIC_KEY = """\
-----BEGIN PUBLIC KEY-----
MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=
-----END PUBLIC KEY-----
"""


def keys(config: Config, platform: Platform = HERE) -> list[tuple[str, ...]]:
    return [contradiction.keys for contradiction in contradictions(config, platform)]


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:60080",
        "http://upstream",
        "https://upstream/",
        "HTTP://upstream:60080",
        "http://[::1]:60080",
        "unix:/run/theeye.sock",
    ],
)
def test_upstream_may_be_an_origin(url: str) -> None:
    assert keys(Config(upstream=UpstreamConfig(url=url))) == []


@pytest.mark.parametrize(
    "url",
    [
        "",
        "unix:",
        "unix:relative.sock",
        "unix:/with space",
        "upstream:60080",
        "ftp://upstream",
        "http://",
        "http:///path",
        "http://upstream:0",
        "http://upstream:65536",
        "http://upstream/path",
        "http://upstream?x",
        "http://upstream?",
        "http://upstream/#x",
        "http://user@upstream",
        "http://:password@upstream",
        "http://up stream",
        "http://upstream\n",
        "http://[::1",
    ],
)
def test_upstream_must_be_an_origin(url: str) -> None:
    assert keys(Config(upstream=UpstreamConfig(url=url))) == [("upstream.url",)]


@pytest.mark.parametrize(
    ("url", "host", "is_own"),
    [
        ("http://127.0.0.1:6090", "0.0.0.0", True),
        ("http://localhost:6090", "::", True),
        ("http://[::1]:6090", "::1", True),
        ("http://gateway:6090", "gateway", True),
        ("http://0.0.0.0:6090", "192.0.2.7", True),
        ("http://localhost:6090", "127.0.0.1", True),
        ("http://127.0.0.1:6092", "0.0.0.0", False),
        ("http://upstream:6090", "0.0.0.0", False),
        ("http://127.0.0.1:6090", "192.0.2.7", False),
    ],
)
def test_upstream_must_not_be_the_gateway_itself(url: str, host: str, is_own: bool) -> None:
    config = Config(listen=ListenConfig(host=host), upstream=UpstreamConfig(url=url))
    assert keys(config) == [("upstream.url", "listen.port", "listen.host")] * is_own


@pytest.mark.parametrize(
    ("listen", "admin", "clash"),
    [
        (("0.0.0.0", 6090), ("127.0.0.1", 6090), True),
        (("127.0.0.1", 6090), ("127.0.0.1", 6090), True),
        (("127.0.0.1", 6090), ("::", 6090), True),
        (("127.0.0.1", 6090), ("192.0.2.7", 6090), False),
        (("0.0.0.0", 0), ("0.0.0.0", 0), False),
    ],
)
def test_both_listeners_need_an_address_of_their_own(
    listen: tuple[str, int], admin: tuple[str, int], clash: bool
) -> None:
    config = Config(
        listen=ListenConfig(host=listen[0], port=listen[1]),
        admin=AdminConfig(host=admin[0], port=admin[1]),
    )
    assert keys(config) == [("admin.port", "listen.port")] * clash


def test_every_trusted_proxy_must_be_a_network() -> None:
    proxies = ("10.0.0.0/8", "192.0.2.7", "::1", "10.0.0.1/8", "proxy")
    config = Config(listen=ListenConfig(trusted_proxies=proxies))
    messages = [contradiction.message for contradiction in contradictions(config)]
    assert [message.split('"')[1] for message in messages] == ["10.0.0.1/8", "proxy"]


@pytest.mark.parametrize(
    ("sync", "broken"),
    [
        (SyncConfig(default_hold_seconds=60), []),
        (SyncConfig(max_hold_seconds=4), ["default_hold_seconds", "max_hold_seconds"]),
        (SyncConfig(min_poll_seconds=6), ["min_poll_seconds", "max_poll_seconds"]),
    ],
)
def test_least_must_not_be_above_most(sync: SyncConfig, broken: list[str]) -> None:
    expected = [tuple(f"sync.{name}" for name in broken)] if broken else []
    assert keys(Config(sync=sync)) == expected


def test_certificate_authorities_must_be_readable(tmp_path: Path) -> None:
    empty = tmp_path / "empty.pem"
    empty.write_text("no certificate")
    for path in (empty, tmp_path / "missing.pem"):
        config = Config(upstream=UpstreamConfig(ca_file=str(path)))
        assert keys(config) == [("upstream.ca_file",)]


def test_key_files_must_be_readable_and_keys(tmp_path: Path) -> None:
    (tmp_path / "garbage").write_text(PUBLIC_KEY.replace("M", "!"))
    (tmp_path / "other").write_text(PUBLIC_KEY)
    (tmp_path / "empty").write_text("\n")
    for name, file, reason in (
        ("public_key_file", "garbage", "there is no public key in PEM in it"),
        ("public_key_file", "other", "its key is not for RSA"),
        ("public_key_file", "missing", "No such file or directory"),
        ("public_key_file", "", "Is a directory"),
        ("secret_file", "empty", "there is no secret in it"),
        ("secret_file", "garbage", "it is a public key or a certificate, no secret"),
        ("secret_file", "missing", "No such file or directory"),
    ):
        path = tmp_path / file
        for mode in ("opaque", "verify"):
            config = msgspec.convert({"identity": {"mode": mode, name: str(path)}}, Config)
            (found,) = contradictions(config)
            assert found.keys == (f"identity.{name}",)
            assert found.message == f'identity.{name} "{path}": {reason}'


def test_secret_that_is_none_is_refused_and_not_shown() -> None:
    config = Config(identity=IdentityConfig(mode="verify", secret=PUBLIC_KEY))
    (found,) = contradictions(config)
    assert found.message == "identity.secret: it is a public key or a certificate, no secret"


@pytest.mark.parametrize(
    ("identity", "broken"),
    [
        ({}, []),
        ({"mode": "verify"}, ["mode"]),
        ({"mode": "verify", "secret": "s3cret"}, []),
        ({"secret": "s3cret"}, []),
        (
            {"mode": "verify", "secret": "s3cret", "jwks_url": "https://login.example/keys"},
            ["secret", "jwks_url"],
        ),
    ],
)
def test_tokens_are_verified_by_one_thing(identity: dict[str, str], broken: list[str]) -> None:
    config = msgspec.convert({"identity": identity}, Config)
    assert keys(config) == ([tuple(f"identity.{name}" for name in broken)] if broken else [])


@pytest.mark.parametrize(
    ("url", "is_usable"),
    [
        ("https://login.example/.well-known/jwks.json", True),
        ("http://127.0.0.1:8080/keys?tenant=a", True),
        ("login.example/keys", False),
        ("file:///etc/keys", False),
        ("https://", False),
        ("https://login.example:0/", False),
        ("https://[::1/", False),
        ("https://login example/", False),
    ],
)
def test_key_sets_have_an_address(url: str, is_usable: bool) -> None:
    config = Config(identity=IdentityConfig(mode="verify", jwks_url=url))
    assert keys(config) == ([] if is_usable else [("identity.jwks_url",)])


@pytest.mark.parametrize(
    "url",
    [
        "",
        "redis://redis:6379/0",
        "rediss://r",
        "unix:///run/redis.sock",
        "redis://user:word@redis?db=3&protocol=3",
    ],
)
def test_redis_may_be_a_url(url: str) -> None:
    assert keys(Config(redis=RedisConfig(url=url))) == []


@pytest.mark.parametrize(
    "url",
    [
        "redis",
        "http://redis",
        "redis://",
        "unix://",
        "redis://r:x/0",
        "redis://r?unheard_of=1",
        "redis://r?db=x",
        "redis://r?protocol=9",
    ],
)
def test_redis_must_be_a_url(url: str) -> None:
    assert keys(Config(redis=RedisConfig(url=url))) == [("redis.url",)]


def test_every_rule_must_name_whom_it_is_for() -> None:
    rules = (Rule(token_hash="0" * 32, holds=1), Rule(holds=1))
    (found,) = contradictions(Config(limits=LimitsConfig(rules=rules)))
    assert found.keys == ("limits.rules",)
    assert "number 2: " in found.message


@pytest.mark.parametrize("name", ["organization", "credential", "user"])
def test_rule_by_what_a_token_says_needs_tokens_that_are_verified(name: str) -> None:
    limits = LimitsConfig(rules=(msgspec.convert({name: "acme", "holds": 1}, Rule),))
    (found,) = contradictions(Config(limits=limits))
    assert found.keys == ("limits.rules", "identity.mode")
    assert f"number 1: names {name}, " in found.message
    identity = IdentityConfig(mode="verify", secret="a secret of more than thirty-two bytes")
    assert keys(Config(limits=limits, identity=identity)) == []


def test_redis_needs_its_library() -> None:
    platform = replace(HERE, has_redis=False)
    (found,) = contradictions(Config(redis=RedisConfig(url="redis://redis")), platform)
    assert 'pip install "redis>=6,<9"' in found.message


def test_certificate_may_be_a_pair_of_files(tmp_path: Path) -> None:
    files = self_signed(tmp_path)
    listen = ListenConfig(tls_cert_file=str(files.cert), tls_key_file=str(files.key))
    assert keys(Config(listen=listen)) == []


@pytest.mark.parametrize(
    ("cert_file", "key_file"),
    [
        ("gateway.crt", ""),
        ("", "gateway.key"),
        ("gateway.key", "gateway.crt"),
        ("no", "gateway.key"),
    ],
)
def test_certificate_and_key_go_together(tmp_path: Path, cert_file: str, key_file: str) -> None:
    self_signed(tmp_path)
    cert, key = (str(tmp_path / name) if name else "" for name in (cert_file, key_file))
    config = Config(listen=ListenConfig(tls_cert_file=cert, tls_key_file=key))
    assert keys(config) == [("listen.tls_cert_file", "listen.tls_key_file")]


@pytest.mark.parametrize(("workers", "broken"), [(1, []), (0, ["workers"]), (2, ["workers"])])
def test_windows_has_one_worker(workers: int, broken: list[str]) -> None:
    config = Config(listen=ListenConfig(workers=workers))
    assert keys(config) == []
    windows = replace(HERE, has_workers=False)
    assert keys(config, windows) == [(f"listen.{name}",) for name in broken]


def test_results_in_redis_need_redis_and_a_key(tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_text(new_key())
    redis = RedisConfig(url="redis://127.0.0.1:6379/0")
    sync = SyncConfig(result_store="redis", seal_key_file=str(key))
    assert keys(Config(sync=sync, redis=redis)) == []
    assert keys(Config(sync=sync)) == [("sync.result_store", "redis.url")]
    config = Config(sync=SyncConfig(result_store="redis"), redis=redis)
    (said,) = contradictions(config)
    assert said.message == 'sync.result_store "redis" needs sync.seal_key_file'
    key.write_text("none")
    (said,) = contradictions(Config(sync=sync, redis=redis))
    assert said.message.startswith(f'sync.seal_key_file "{key}": it has a line that is no key')


@pytest.mark.parametrize("setting", ["on_timeout", "on_disconnect"])
@pytest.mark.parametrize("workers", [0, 2])
def test_workers_that_do_not_know_who_waits_at_the_others_cancel_nothing(
    setting: str, workers: int
) -> None:
    listen, sync = ListenConfig(workers=workers), SyncConfig(**{setting: "cancel"})  # type: ignore[arg-type]
    (said,) = contradictions(Config(listen=listen, sync=sync))
    assert said.keys == (f"sync.{setting}", "listen.workers")
    assert said.message == f'sync.{setting} "cancel": several workers need redis.url for that'
    redis = RedisConfig(url="redis://127.0.0.1:1/0")
    assert not keys(Config(listen=listen, sync=sync, redis=redis))
    assert not keys(Config(sync=sync))
