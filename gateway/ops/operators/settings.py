"""The settings in force, for operators: secrets masked, each with where it was given."""

from __future__ import annotations

from functools import reduce
from typing import TYPE_CHECKING, Any

import msgspec
from aiohttp import web

from gateway.config.tree import settings as known_settings
from gateway.ops.operators.routes import Audience, OperatorRoute, told
from gateway.protocols.theeye.redaction import MASK, redacted_address

if TYPE_CHECKING:
    from collections.abc import Callable

    from gateway.config.effective import Effective

DEFAULT = "default"
"""Where a value stands that nobody has given."""


class ShownSetting(msgspec.Struct):
    value: Any
    origin: str
    """The file with the key, the variable, or the argument; or ``DEFAULT``."""


class ShownSettings(msgspec.Struct):
    """What ``/config`` answers."""

    file: str | None
    settings: dict[str, ShownSetting]
    """By dotted key, in the order of the file."""


def settings_shown(effective: Effective) -> ShownSettings:
    """All settings, as they may be shown to whoever may not know the secrets in them."""
    shown = {}
    for key, setting in known_settings().items():
        value: Any = reduce(getattr, key.split("."), effective.config)
        is_hidden = setting.is_secret and bool(value)
        shown[key] = ShownSetting(
            MASK if is_hidden else _redacted(msgspec.to_builtins(value)),
            effective.origins.get(key, DEFAULT),
        )
    return ShownSettings(None if effective.file is None else str(effective.file), shown)


def settings_route(settings: Callable[[], Effective]) -> OperatorRoute:
    """``settings`` gives those that are in force at the moment."""

    async def answer(_: web.Request) -> web.Response:
        return told(200, settings_shown(settings()))

    about = "the settings in force, and where each was given"
    return OperatorRoute("GET", "/config", Audience.OPERATORS, about, answer)


def _redacted(value: Any) -> Any:
    """The value without the secrets that stand in addresses, and without what is not given."""
    match value:
        case str():
            return redacted_address(value)
        case list() | tuple():
            return [_redacted(member) for member in value]
        case dict():
            return {name: _redacted(member) for name, member in value.items() if member is not None}
        case _:
            return value
