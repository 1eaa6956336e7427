"""Queries and forms as TheEye reads them: what the npm package ``qs`` 6.9 makes of a text, with the
options that restify gives it. Objects are dicts, arrays lists.
"""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import unquote_to_bytes

PARAMETERS = 1000
DEPTH = 5
LARGEST_INDEX = 20
_BRACKETS = re.compile(r"\[[^\[\]]*\]")
_INDEX = re.compile(r"\[(0|[1-9][0-9]?)\]")
_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
_PROTOTYPE = frozenset(
    {
        *("constructor", "hasOwnProperty", "isPrototypeOf", "propertyIsEnumerable"),
        *("toLocaleString", "toString", "valueOf", "__proto__", "__defineGetter__"),
        *("__defineSetter__", "__lookupGetter__", "__lookupSetter__"),
    }
)


class _Array(dict[int, Any]):
    """A JavaScript array with holes: its elements by index."""

    @classmethod
    def of(cls, *values: Any) -> _Array:
        """The values one after the other, those of arrays in place of the arrays."""
        made = cls()
        for value in values:
            end = made.end
            elements = value if isinstance(value, _Array) else {0: value}
            made.update({end + index: element for index, element in elements.items()})
        return made

    @property
    def end(self) -> int:
        return max(self, default=-1) + 1

    def push(self, value: Any) -> None:
        self[self.end] = value

    def elements(self) -> list[Any]:
        return [self[index] for index in sorted(self)]


def parse(text: str) -> dict[str, Any]:
    """The parameters of a query or form."""
    flat: dict[str, Any] = {}
    for part in text.split("&", PARAMETERS)[:PARAMETERS]:
        bracket = part.find("]=")
        at = part.find("=") if bracket < 0 else bracket + 1
        key, value = (part, "") if at < 0 else (part[:at], part[at + 1 :])
        key, value = _decoded(key), _decoded(value)
        if key != "__proto__":
            flat[key] = _Array.of(flat[key], value) if key in flat else value
    found: Any = {}
    for key, value in flat.items():
        found = _merged(found, _object_of(key, value))
    compacted = _compact(found)
    assert isinstance(compacted, dict)
    return compacted


def text_of(value: Any) -> str:
    """What JavaScript's ``String`` makes of a value out of JSON or of ``parse``."""
    match value:
        case str():
            return value
        case bool() | None:
            return {True: "true", False: "false", None: "null"}[value]
        case list():
            return ",".join("" if element is None else text_of(element) for element in value)
        case dict():
            return "[object Object]"
        case float() if value.is_integer() and abs(value) < 10**21:
            return str(int(value))
    return str(value)


def is_truthy(value: Any) -> bool:
    """Whether JavaScript takes the value for true: empty arrays and objects too."""
    return isinstance(value, list | dict) or bool(value)


def _decoded(text: str) -> str:
    """Decoded whole or not at all."""
    text = text.replace("+", " ")
    if _BAD_ESCAPE.search(text):
        return text
    try:
        return unquote_to_bytes(text).decode()
    except UnicodeDecodeError:
        return text


def _object_of(key: str, value: Any) -> Any:
    """``a[b][]`` as an object in an object; None for what names a part of JavaScript's own."""
    first = _BRACKETS.search(key)
    parent = key[: first.start()] if first else key
    segments = [*_BRACKETS.finditer(key)]
    children = [segment[0] for segment in segments[:DEPTH]]
    if not key or not _PROTOTYPE.isdisjoint([parent, *(child[1:-1] for child in children)]):
        return None
    chain = [parent, *children] if parent else children
    if len(segments) > DEPTH:
        chain.append(f"[{key[segments[DEPTH].start() :]}]")
    leaf = value
    for name in reversed(chain):
        index = _INDEX.fullmatch(name)
        if name == "[]":
            leaf = _Array.of(leaf)
        elif index is not None and int(index[1]) <= LARGEST_INDEX:
            leaf = _Array({int(index[1]): leaf})
        else:
            is_bracketed = name.startswith("[") and name.endswith("]")
            leaf = {name[1:-1] if is_bracketed else name: leaf}
    return leaf


def _merged(target: Any, source: Any) -> Any:
    if source is None or source == "":
        return target
    if not isinstance(source, dict):
        if isinstance(target, _Array):
            target.push(source)
        elif isinstance(target, dict):
            if source not in _PROTOTYPE:
                target[source] = True
        else:
            return _Array.of(target, source)
        return target
    if not isinstance(target, dict):
        return _Array.of(target, source)
    if isinstance(target, _Array) and isinstance(source, _Array):
        return _merged_arrays(target, source)
    if isinstance(target, _Array):
        target = {str(index): value for index, value in sorted(target.items())}
    for key, value in source.items():
        name = str(key)
        target[name] = _merged(target[name], value) if name in target else value
    return target


def _merged_arrays(target: _Array, source: _Array) -> _Array:
    for index, item in sorted(source.items()):
        if index not in target:
            target[index] = item
        elif isinstance(target[index], dict) and isinstance(item, dict):
            target[index] = _merged(target[index], item)
        else:
            target.push(item)
    return target


def _compact(value: Any) -> Any:
    if isinstance(value, _Array):
        return [_compact(element) for element in value.elements()]
    if isinstance(value, dict):
        return {name: _compact(element) for name, element in value.items()}
    return value
