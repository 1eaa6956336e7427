"""The settings there are: keys, variables, types and defaults of the tree."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from msgspec import inspect, structs

from gateway.config import Config, Section

if TYPE_CHECKING:
    from collections.abc import Iterator

PREFIX = "GATEWAY_"
RENAMED = {
    "sync.result_cache_seconds": "sync.result_seconds",
    "sync.result_cache_bytes": "sync.result_store_bytes",
}
"""Settings of former releases, and those that have taken their place."""


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting of the tree: its dotted key, type and default."""

    key: str
    type: Any
    default: object

    @property
    def variable(self) -> str:
        """The name of the environment variable that sets it."""
        return variable(self.key)

    @property
    def is_secret(self) -> bool:
        """Its value is shown to nobody: ``Annotated[str, Meta(extra={"secret": True})]``."""
        info = inspect.type_info(self.type)
        return isinstance(info, inspect.Metadata) and bool((info.extra or {}).get("secret"))

    @property
    def table(self) -> type[Section] | None:
        """What its value is a list of, where that is tables; in a variable it is JSON."""
        info = inspect.type_info(self.type)
        if isinstance(info, inspect.VarTupleType) and isinstance(
            info.item_type, inspect.StructType
        ):
            return info.item_type.cls
        return None


def variable(key: str) -> str:
    """The name of the environment variable that sets the setting with this dotted key."""
    return PREFIX + key.replace(".", "__").upper()


def settings(tree: type[Section] = Config) -> dict[str, Setting]:
    """Every setting there is, by its dotted key, in the order of the file."""
    return {setting.key: setting for setting in _settings_of(tree())}


def _settings_of(section: Section, prefix: str = "") -> Iterator[Setting]:
    for field in structs.fields(section):
        key, default = prefix + field.name, getattr(section, field.name)
        if isinstance(default, Section):
            yield from _settings_of(default, f"{key}.")
        else:
            yield Setting(key, field.type, default)
