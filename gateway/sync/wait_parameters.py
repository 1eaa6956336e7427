"""What a query says of a wait: whether one is asked for, how long, where to ask next, and the id
by which all its requests are found in the log."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Final

import msgspec

from gateway import wording
from gateway.config import MAX_COUNT
from gateway.errors import BadRequest
from gateway.protocols.http.query import MAX_PAIRS, Query
from gateway.protocols.theeye.ecma_json import without_lone_surrogates
from gateway.protocols.theeye.routes import ResultRoute, route_asked_for

if TYPE_CHECKING:
    from collections.abc import Collection

    from gateway.config import SyncConfig
    from gateway.downstream.exchange import Exchange

ADDED_PAIRS = 8
"""Room for what a Location adds to a query."""
_MAX_DIGITS = 9
_SHOWN_CHARACTERS = 32
_DRAINED = "drained"
"""How often a process that was about to stop has sent the client on. Nobody reads it: it makes each
address of a chain of redirects another one, for clients take the same one twice for a loop."""

_RID: Final = "rid"
_RID_FORM: Final = re.compile(r"[0-9A-Za-z._:=@~-]{1,128}")


@dataclass(frozen=True, slots=True)
class HoldParameters:
    counter: int
    """How many result requests ran before this one."""
    limit: int
    """How many may run in all."""
    hold_seconds: int
    is_fitted: bool = False
    """``limit`` and ``hold_seconds`` are not the query's."""

    @property
    def may_wait(self) -> bool:
        return self.counter < self.limit

    @property
    def is_last(self) -> bool:
        """No request may follow."""
        return self.counter + 1 >= self.limit

    @property
    def waited_seconds(self) -> int:
        """How long the requests before this one waited in all."""
        return min(self.counter, self.limit) * self.hold_seconds


@dataclass(frozen=True, slots=True)
class _Range:
    """A parameter's whole numbers, worded as a setting's are."""

    least: int
    most: int
    setting: str = ""
    """The one that has ``most``, where the operator chooses it; it is of seconds then."""
    is_cut: bool = False
    """A larger number counts as ``most``."""

    def __str__(self) -> str:
        unit, by = (" of seconds", f" ({self.setting})") if self.setting else ("", "")
        return f"a whole number{unit}, {self.least} to {self.most}{by}"


_LIMIT = _Range(1, MAX_COUNT)
_COUNTER = _Range(0, MAX_COUNT)


class _Flag(msgspec.Struct):
    """Nothing else of the content is made into objects, however large it is."""

    wait_result: msgspec.Raw = msgspec.Raw(b"")


_flag_of = msgspec.json.Decoder(_Flag)


def asks_to_wait(query: Query) -> bool:
    """Tell whether the query has ``wait_result=true``, exactly that and once."""
    return query.values("wait_result") == ["true"]


def content_asks_to_wait(content: bytes) -> bool:
    """Tell whether it is a JSON object with ``"wait_result": true``, a boolean, at its top."""
    for made_readable in (bytes, without_lone_surrogates):
        try:
            return bytes(_flag_of.decode(made_readable(content)).wait_result) == b"true"
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            continue
    return False


def hold_parameters(query: Query, config: SyncConfig) -> HoldParameters:
    """Read ``counter``, ``limit`` and ``timeout``, or their defaults; a long timeout is cut.

    Raises:
        BadRequest: one of them is no whole number in its range, or given twice.
    """
    if query.raw.count("&") >= MAX_PAIRS - ADDED_PAIRS:
        raise BadRequest(f"A query may have {MAX_PAIRS - ADDED_PAIRS} parameters")
    return HoldParameters(
        _whole_number(query, "counter", 0, _COUNTER),
        _whole_number(query, "limit", config.default_limit, _LIMIT),
        _whole_number(
            query, "timeout", config.default_hold_seconds, _timeout(config.max_hold_seconds)
        ),
    )


def fitted(asked: HoldParameters, config: SyncConfig) -> HoldParameters:
    """The parameters with the same time in all, or as much of it as can be, in no more requests
    than the settings allow. A wait that has begun goes on as it is."""
    most = config.max_redirects
    if not most or asked.counter or asked.limit <= most:
        return asked
    seconds = asked.limit * asked.hold_seconds
    hold_seconds = min(-(-seconds // most), config.max_hold_seconds)
    limit = min(-(-seconds // hold_seconds), most)
    return HoldParameters(0, limit, hold_seconds, is_fitted=True)


def fitted_query(query: Query, parameters: HoldParameters) -> Query:
    """The query that says so, where the parameters were fitted."""
    if not parameters.is_fitted:
        return query
    values = {"limit": parameters.limit, "timeout": parameters.hold_seconds}
    raw = query.raw
    for key, value in values.items():
        found = next((pair for pair in Query(raw).pairs if pair.key == key), None)
        if found is None:
            raw = append(raw, f"{key}={value}")
        else:
            said = f"{found.raw_key}={value}"
            raw = "&".join(said if part == found.raw else part for part in raw.split("&"))
    return Query(raw)


def result_location(path: str, query: Query, config: SyncConfig) -> str:
    """Make the address of a result: ``path`` with the query as it came, and those of counter,
    limit and timeout that it lacks."""
    return _completed(path, query.raw, {pair.key for pair in query.pairs}, config)


def next_location(path: str, query: Query, counter: int, config: SyncConfig) -> str:
    """Make the address of a wait's next request: the counter's value is replaced where it stands,
    or added."""
    keys = {pair.key for pair in query.pairs}
    if "counter" not in keys:
        counted = append(query.raw, f"counter={counter}")
        return _completed(path, counted, keys | {"counter"}, config)
    found = next(pair for pair in query.pairs if pair.key == "counter")
    counted = f"{found.raw_key}={counter}"
    parts = [counted if part == found.raw else part for part in query.raw.split("&")]
    return _completed(path, "&".join(parts), keys, config)


def drained_location(path: str, query: Query, config: SyncConfig) -> str:
    """Make the address of the same request again, one that no request of its chain had
    (RFC 9110, 15.4)."""
    found = [pair for pair in query.pairs if pair.key == _DRAINED]
    given = [int(pair.value) for pair in found if _is_number(pair.value)]
    counted = f"{_DRAINED}={max(given, default=0) % (10**_MAX_DIGITS - 1) + 1}"
    if not found:
        return f"{result_location(path, query, config)}&{counted}"
    raw = {pair.raw for pair in found}
    given_parts = query.raw.split("&")
    parts = [part for part in given_parts if part not in raw]
    parts.insert(given_parts.index(found[0].raw), counted)
    return _completed(path, "&".join(parts), {pair.key for pair in query.pairs}, config)


def without_rid(query: Query) -> tuple[Query, str]:
    """Split a query of a result's address into what the wait says in it and the wait's id: that of
    its first request. The id is empty where none is given, several are, or one that no gateway has
    written; a query that names none is returned itself.

    Anybody can write one. It is for the log, and decides nothing.
    """
    if _RID not in query.raw and "%" not in query.raw:
        return query, ""
    found = [pair for pair in query.pairs if pair.key == _RID]
    if not found:
        return query, ""
    raw = {pair.raw for pair in found}
    rest = Query("&".join(part for part in query.raw.split("&") if part not in raw))
    given = found[0].value
    return rest, given if len(found) == 1 and _RID_FORM.fullmatch(given) else ""


def take_rid(exchange: Exchange, path: str) -> str:
    """Take the wait's id out of what is asked for and sent upstream, if that is a result."""
    query, rid = without_rid(exchange.query)
    if query is exchange.query or not isinstance(route_asked_for("GET", path), ResultRoute):
        return ""
    exchange.query = query
    exchange.target = f"{path}?{query.raw}" if query.raw else path
    return rid


def with_rid(location: str, rid: str) -> str:
    """The address of a result, which has a query, with the id of its wait. An id that would have to
    be encoded there is left out: its proxy gives the next request one as well."""
    return f"{location}&{_RID}={rid}" if _RID_FORM.fullmatch(rid) else location


def _completed(path: str, raw_query: str, keys: Collection[str], config: SyncConfig) -> str:
    """The address with a query that has these keys, and those of the defaults that it lacks."""
    defaults = {
        "counter": 0,
        "limit": config.default_limit,
        "timeout": config.default_hold_seconds,
    }
    missing = [f"{key}={value}" for key, value in defaults.items() if key not in keys]
    return f"{path}?{append(raw_query, *missing)}"


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= _MAX_DIGITS


def append(query: str, *parts: str) -> str:
    """The query with more pairs at its end."""
    if not parts:
        return query
    separator = "&" if query and not query.endswith("&") else ""
    return query + separator + "&".join(parts)


@lru_cache(maxsize=4)
def _timeout(most: int) -> _Range:
    return _Range(1, most, "sync.max_hold_seconds", is_cut=True)


def _whole_number(query: Query, key: str, default: int, allowed: _Range) -> int:
    """The value of ``key``; numbers of more than nine digits read as the largest of nine."""
    given = query.values(key)
    if not given:
        return default
    if len(given) > 1:
        raise BadRequest(f"{key} must be {allowed}, and is given {len(given)} times")
    text = given[0]
    if text.isascii() and text.isdigit():
        digits = text.lstrip("0") or "0"
        number = int(digits) if len(digits) <= _MAX_DIGITS else 10**_MAX_DIGITS
        if allowed.is_cut:
            number = min(number, allowed.most)
        if allowed.least <= number <= allowed.most:
            return number
    raise BadRequest(f"{key} must be {allowed}, and is {wording.shown(text[:_SHOWN_CHARACTERS])}")
