"""Every setting counts after a reload as after a restart, or is named as one that needs a restart.

A gateway that goes on with other settings is compared with one that is made of them: all numbers,
texts and sections in all of its parts.
"""

from __future__ import annotations

import enum
import functools
import ipaddress
import types
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from gateway import build
from gateway.app import Gateway
from gateway.config import Config, Section
from gateway.config.changes import changes, needs_restart
from gateway.server.reload.prepared import Prepared
from gateway.sync.kept.seal import new_key
from tests.support.settings import KNOWN, chosen, other

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

OF_THE_PROCESS = {
    "admin.watch_seconds",
    "listen.drain_seconds",
    "listen.tls_cert_file",
    "listen.tls_key_file",
    "log.level",
}
"""What the process does with them is shown in tests/server."""
UNSEEN = {"listen.trusted_proxies"} if build() == "compiled" else set()
"""A compiled function shows nothing of what it closes over; tests/proxy/test_forwarding.py holds
it."""
GROWING = {"limits.result_bytes"}
"""What a reply may have only grows: jobs exist by then."""
_LEAVES = (bool, int, float, str, bytes, Section, enum.Enum, type(None))
_NETWORKS = (ipaddress.IPv4Network, ipaddress.IPv6Network)


def leaves(root: object) -> dict[str, object]:
    """All plain values in the parts, by where they are."""
    found: dict[str, object] = {}
    seen: set[int] = set()
    waiting: deque[tuple[str, object]] = deque([("", root)])
    while waiting:
        path, value = waiting.popleft()
        if isinstance(value, _LEAVES + _NETWORKS):
            if not isinstance(value, Config):
                found[path] = value
        elif id(value) not in seen:
            seen.add(id(value))
            waiting.extend((f"{path}.{name}", part) for name, part in members(value))
    return found


def members(value: object) -> Iterator[tuple[str, object]]:
    """What hangs on a part, a collection or a callable."""
    match value:
        case dict():
            yield from ((str(key), part) for key, part in value.items())
        case list() | tuple() | set() | frozenset() | deque():
            yield from ((str(at), part) for at, part in enumerate(value))
        case functools.partial():
            yield from (("func", value.func), ("args", value.args))
        case types.MethodType():
            yield "self", value.__self__
        case types.FunctionType():
            yield from (
                (str(at), cell.cell_contents) for at, cell in enumerate(value.__closure__ or ())
            )
        case _ if hasattr(value, "__wrapped__"):
            yield "wrapped", value.__wrapped__
        case _ if type(value).__module__.partition(".")[0] in {"gateway", "cachetools"}:
            yield from attributes(value)
        case _:
            return


def attributes(part: object) -> Iterator[tuple[str, object]]:
    """Also of a compiled class, whose instances have no dictionary."""
    yield from vars(part).items() if hasattr(part, "__dict__") else ()
    for kind in type(part).__mro__:
        for name, member in vars(kind).items():
            is_attribute = isinstance(
                member, types.MemberDescriptorType | types.GetSetDescriptorType
            ) and name not in {"__dict__", "__weakref__"}
            if is_attribute:
                # A property of a compiled class is no other than an attribute.
                with suppress(AttributeError, AssertionError):
                    yield name, getattr(part, name)


def base(key: str, tmp_path: Path) -> dict[str, object]:
    """Settings among which this one counts."""
    if key.startswith("identity."):
        return {"identity.mode": "verify", "identity.secret": "s" * 40}
    if key == "sync.seal_key_file":
        return {
            "sync.result_store": "redis",
            "redis.url": "redis://127.0.0.1:1/0",
            "sync.seal_key_file": written(tmp_path / "before", new_key()),
        }
    if key.startswith("listen.tls"):
        return {"listen.tls_cert_file": "cert", "listen.tls_key_file": "key"}
    return {}


def written(path: Path, text: str) -> str:
    path.write_text(text)
    return str(path)


def wanted(key: str, tmp_path: Path) -> dict[str, object]:
    """The same with another value of the setting."""
    values = base(key, tmp_path)
    if key in {"identity.secret_file", "identity.public_key_file"}:
        del values["identity.secret"]
    if key == "identity.secret_file":
        value: object = written(tmp_path / "secret", "t" * 40)
    elif key == "identity.public_key_file":
        value = written(tmp_path / "public", public_key())
    elif key == "identity.secret":
        value = "t" * 40
    elif key == "sync.seal_key_file":
        value = written(tmp_path / "after", new_key())
    else:
        value = other(key)
    return {**values, key: value}


def public_key() -> str:
    key = rsa.generate_private_key(65537, 2048).public_key()
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return key.public_bytes(serialization.Encoding.PEM, form).decode()


def shown(gateway: Gateway) -> dict[str, Any]:
    """All but the count of reloads, which knows a hash of all settings."""
    found = leaves(gateway).items()
    return {path: repr(value) for path, value in found if not path.startswith(".reloads")}


@pytest.mark.parametrize("key", [key for key in KNOWN if not needs_restart(key)])
async def test_setting_counts_after_a_reload_as_after_a_restart(key: str, tmp_path: Path) -> None:
    before, after = chosen(base(key, tmp_path)), chosen(wanted(key, tmp_path))
    made = changes(before, after)
    assert key in made.changed
    assert made.config == after
    former, same = shown(Gateway(before)), shown(Gateway(before))
    gateway = Gateway(before)
    if key not in OF_THE_PROCESS:
        prepared = Prepared.read(after)
        gateway.reconfigure(after, key=prepared.key, seal_keys=prepared.seal_keys)
    found, expected = shown(gateway), shown(Gateway(after))
    # Random numbers, and times.
    noise = {path for path, value in former.items() if same.get(path) != value}
    different = {
        path: (value, found.get(path))
        for path, value in expected.items()
        if found.get(path) != value and path not in noise
    }
    if key not in GROWING:
        assert different == {}
    has_changed = any(former.get(path) != found[path] for path in found if path not in noise)
    assert has_changed is (key not in OF_THE_PROCESS | UNSEEN)
