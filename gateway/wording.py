"""What is said of a value that a setting cannot have: what it is, and what is allowed."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import inspect, structs

from gateway.config import Section
from gateway.protocols.theeye.redaction import MASK, redacted_address

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_NEAR_NAME, _NEAR_WORD = 0.75, 0.6
"""How alike a name that was meant must be (``difflib``), and a word of a few."""


def shown(value: object) -> str:
    """The value as it would be written in the file, without the secrets that stand in addresses."""
    if isinstance(value, tuple | list):
        return f"[{', '.join(map(shown, value))}]"
    if isinstance(value, dict):
        pairs = [f"{name} = {shown(item)}" for name, item in value.items()]
        return f"{{ {', '.join(pairs)} }}" if pairs else "{}"
    if isinstance(value, Section):
        fields = {field.name: getattr(value, field.name) for field in structs.fields(value)}
        return shown({name: item for name, item in fields.items() if not _is_bare(item)})
    if isinstance(value, str):
        # TOML's basic strings are JSON's, except that DEL must be escaped.
        text = msgspec.json.encode(redacted_address(value)).decode()
        return text.replace("\x7f", "\\u007f")
    if value is None:
        return "null"
    return str(value).lower() if isinstance(value, bool) else str(value)


def meant(name: str, known: Iterable[str]) -> str:
    """A hint at what may have been meant by a name that is unknown; empty if there is none."""
    return _hint(get_close_matches(name, list(known), n=2, cutoff=_NEAR_NAME))


def allowed(kind: Any, given: object = None) -> str:
    """What a setting of this type may be, with a hint where ``given`` is nearly that."""
    info = _bare(kind)
    match info:
        case inspect.BoolType():
            return "true or false"
        case inspect.IntType() | inspect.FloatType():
            return _range(info)
        case inspect.LiteralType():
            words = [value for value in info.values if isinstance(value, str)]
            near = get_close_matches(str(given), words, n=1, cutoff=_NEAR_WORD)
            return "one of " + ", ".join(map(shown, info.values)) + _hint(map(_quoted, near))
        case inspect.VarTupleType():
            return "a list of texts"
        case inspect.StrType(pattern=str()):
            return "a hash, 32 of the characters 0-9 and a-f"
        case _:
            return "a text"


def unfit_tables(given: object, table: type[Section]) -> Iterator[str]:
    """All that is wrong with a list of such tables, each with the table's number, from 1."""
    if not isinstance(given, list):
        yield f"{shown(given)} is not a list of tables"
        return
    for number, member in enumerate(given, start=1):
        for problem in _unfit_table(member, table):
            yield f"number {number}: {problem}"


def _unfit_table(given: object, table: type[Section], key: str = "") -> Iterator[str]:
    place = f"{key}: " if key else ""
    if not isinstance(given, dict):
        yield f"{place}{shown(given)} is not a table"
        return
    fields = {field.name: field for field in structs.fields(table)}
    for name, value in given.items():
        inner = f"{key}.{name}" if key else name
        field = fields.get(name)
        if field is None:
            yield f"{inner}: unknown{meant(name, fields)}"
        elif isinstance(field.default, Section):
            yield from _unfit_table(value, type(field.default), inner)
        else:
            try:
                msgspec.convert(value, field.type)
            except msgspec.ValidationError:
                # A token may stand where its hash should.
                is_shown = not isinstance(value, str) or name != "token_hash"
                what = shown(value) if is_shown else f'"{MASK}"'
                yield f"{inner}: {what} is not {allowed(field.type)}"


def _is_bare(value: object) -> bool:
    """Nothing is given: there is no way to write that."""
    return value is None or (isinstance(value, Section) and value == type(value)())


def _bare(kind: Any) -> inspect.Type:
    """What describes a type, without what is only said about it, and without None."""
    info = inspect.type_info(kind)
    if isinstance(info, inspect.UnionType):
        info = next(inner for inner in info.types if not isinstance(inner, inspect.NoneType))
    return info.type if isinstance(info, inspect.Metadata) else info


def _hint(near: Iterable[str]) -> str:
    words = " or ".join(near)
    return f"; did you mean {words}?" if words else ""


def _quoted(word: str) -> str:
    return f'"{word}"'


def _range(info: inspect.IntType | inspect.FloatType) -> str:
    number = "a whole number" if isinstance(info, inspect.IntType) else "a number"
    if info.gt is not None:
        return f"{number} above {info.gt}, up to {info.le}"
    return f"{number}, {info.ge} to {info.le}"
