"""The settings file as a JSON Schema, by which editors complete and check it.

Made from the types and texts of the settings, as ``config/gateway.toml`` is. What one value says
about another (``validation``) is not in it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import structs

from gateway.cli.rendering import explanation
from gateway.config import Config, Section

if TYPE_CHECKING:
    from collections.abc import Iterator

DIALECT = "https://json-schema.org/draft/2020-12/schema"
TITLE = "Settings of theeye-sync-gateway"


def schema() -> str:
    """The schema, as the file has it."""
    made = msgspec.json.schema(Config)
    definitions: dict[str, Any] = made["$defs"]
    for definition in definitions.values():
        # Whatever is left out has its default.
        definition.pop("required", None)
        definition["properties"] = {
            name: _as_toml(described) for name, described in definition["properties"].items()
        }
    config = Config()
    for path, section in _sections(config):
        for name, described in definitions[type(section).__name__]["properties"].items():
            if about := explanation(config, f"{path}{name}"):
                described["description"] = " ".join(about.split())
    root = {"$schema": DIALECT, "title": TITLE, **made}
    return msgspec.json.format(msgspec.json.encode(root), indent=2).decode() + "\n"


def _sections(section: Section, prefix: str = "") -> Iterator[tuple[str, Section]]:
    """A table and those in it, with what the keys in each begin with."""
    yield prefix, section
    for field in structs.fields(section):
        member = getattr(section, field.name)
        if isinstance(member, Section):
            yield from _sections(member, f"{prefix}{field.name}.")


def _as_toml(described: dict[str, Any]) -> dict[str, Any]:
    """Without null, which TOML has not, and without the defaults of tables: they stand with their
    keys."""
    kinds = [kind for kind in described.get("anyOf", ()) if kind != {"type": "null"}]
    if len(kinds) == 1:
        described = {**described, **kinds[0]}
        del described["anyOf"]
    if "$ref" in described or described.get("default", "") is None:
        described.pop("default", None)
    return described
