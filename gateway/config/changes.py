"""What a reload changes: which settings are other ones, and which of them need a restart. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce
from typing import TYPE_CHECKING, TypeVar

from msgspec import structs

from gateway.config.values import Section

if TYPE_CHECKING:
    from collections.abc import Collection

    from gateway.config import Config

S = TypeVar("S", bound=Section)

RESTART = frozenset(
    {
        # Sockets and processes are made at the start.
        "listen.host",
        "listen.port",
        "listen.workers",
        "admin.host",
        "admin.port",
        "admin.token_file",
        "admin.tls_cert_file",
        "admin.tls_key_file",
        # Who a client is must not change in the middle of its requests.
        "identity.mode",
        "identity.jwks_url",
        # What is kept would have to go from one place to another.
        "sync.result_store",
    }
)
"""Settings that count from the next start on. Those of ``RESTART_TABLES`` do, too."""
RESTART_TABLES = frozenset({"upstream", "redis", "traces"})
"""Their connections are made by them, and are in use."""
_TLS = ("listen.tls_cert_file", "listen.tls_key_file")
_KEYS = tuple(
    f"identity.{name}" for name in ("secret", "secret_file", "public_key_file", "jwks_url")
)


@dataclass(frozen=True, slots=True)
class Changes:
    """``config`` is what can be gone on with: the new settings, but for those that need a restart,
    which are as they were."""

    config: Config
    changed: tuple[str, ...]
    """Dotted keys of the settings that are other ones, in the order of the file."""
    waiting: tuple[str, ...]
    """Those that would be, and need a restart for that."""


def needs_restart(key: str) -> bool:
    """Tell whether a change of the setting always needs a restart."""
    return key in RESTART or key.partition(".")[0] in RESTART_TABLES


def changes(running: Config, wanted: Config) -> Changes:
    """What becomes of ``running`` settings where others are ``wanted``."""
    different = differences(running, wanted)
    staying = {key for key in different if needs_restart(key)}
    if bool(running.listen.tls_cert_file) is not bool(wanted.listen.tls_cert_file):
        # A socket speaks TLS, or it does not.
        staying.update(_TLS)
    if running.identity.jwks_url != wanted.identity.jwks_url or "identity.mode" in staying:
        staying.update(_KEYS)
    return Changes(
        _kept(wanted, running, staying),
        tuple(key for key in different if key not in staying),
        tuple(key for key in different if key in staying),
    )


def differences(one: Section, other: Section, prefix: str = "") -> list[str]:
    """The dotted keys of settings whose values are not the same, in the order of the file."""
    found: list[str] = []
    for name in one.__struct_fields__:
        before, after, key = getattr(one, name), getattr(other, name), prefix + name
        if isinstance(before, Section):
            found += differences(before, after, f"{key}.")
        elif before != after:
            found.append(key)
    return found


def value_of(config: Config, key: str) -> object:
    """The value of a setting by its dotted key."""
    value: object = reduce(getattr, key.split("."), config)
    return value


def _kept(wanted: S, running: S, keys: Collection[str], prefix: str = "") -> S:
    """The section that is wanted, with the running values of ``keys``."""
    values: dict[str, object] = {}
    for name in wanted.__struct_fields__:
        value, key = getattr(wanted, name), prefix + name
        if isinstance(value, Section):
            values[name] = _kept(value, getattr(running, name), keys, f"{key}.")
        elif key in keys:
            values[name] = getattr(running, name)
    return structs.replace(wanted, **values)
