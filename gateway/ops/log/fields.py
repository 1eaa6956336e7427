"""The access log's fields: one table, from which JSON and text lines are made, and documented.

Every value is visible ASCII without quotes and backslashes, so it may stand in both forms as it is.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Literal, NamedTuple

from gateway.downstream.exchange import Exchange
from gateway.ops.log.visible import (
    shown,
    shown_address,
    shown_agent,
    shown_name,
    shown_word,
)
from gateway.protocols.http.fields import first, has, values
from gateway.protocols.theeye.redaction import SHOWN_CHARACTERS
from gateway.protocols.tracing.trace_context import trace_parent


class LogField(NamedTuple):
    """A row: the field's name, its type in JSON, its meaning for operators, and its value for a
    request that is over."""

    name: str
    type: Literal["text", "number"]
    meaning: str
    value: Callable[[Exchange], str]


_SHORT: Final = tuple(str(number) for number in range(1000))
_THREE_DIGITS: Final = tuple(f"{number:03d}" for number in range(1000))
# Looked up, numbers take a seventh of the instructions that formatting takes.


def _number(number: int) -> str:
    return _SHORT[number] if 0 <= number < 1000 else str(number)


def _seconds(seconds: float) -> str:
    """Six decimals."""
    if seconds <= 0:
        return "0.000000"
    microseconds = int(seconds * 1_000_000 + 0.5)
    milliseconds = microseconds // 1000
    whole = _number(milliseconds // 1000)
    return f"{whole}.{_THREE_DIGITS[milliseconds % 1000]}{_THREE_DIGITS[microseconds % 1000]}"


def _token_hash(exchange: Exchange) -> str:
    token_hash = exchange.identity.token_hash
    return "" if token_hash is None else token_hash.hex()


def _organization(exchange: Exchange) -> str:
    identity = exchange.identity
    return shown_name(identity.customer) if identity.is_verified else ""


def _user(exchange: Exchange) -> str:
    identity = exchange.identity
    return shown_name(identity.user) if identity.is_verified else ""


def _trace_id(exchange: Exchange) -> str:
    if exchange.trace is not None:
        return exchange.trace.span.trace_id
    client = exchange.client
    if not has(client.names, b"traceparent"):
        return ""
    parent = trace_parent(values(client.fields, b"traceparent"))
    return "" if parent is None else parent.trace_id


def _user_agent(exchange: Exchange) -> str:
    client = exchange.client
    said = first(client.fields, client.names, b"user-agent")
    return "" if said is None else shown_agent(said)


FIELDS: Final[tuple[LogField, ...]] = (
    LogField("time", "text", "when the request ended: RFC 3339, UTC", lambda _: ""),
    LogField(
        "request_id",
        "text",
        "`X-Request-Id`, as the orchestrator is told it too; the same for all requests of a wait",
        lambda exchange: shown_word(exchange.request_id),
    ),
    LogField(
        "trace_id",
        "text",
        "the trace that a valid `traceparent` names, or that the gateway began",
        _trace_id,
    ),
    LogField(
        "kind",
        "text",
        "`relay` (passed through), `websocket`, `create` (of a job that is waited for), `result`,"
        " `cancel` or `refused`",
        lambda exchange: exchange.kind,
    ),
    LogField("method", "text", "the method", lambda exchange: shown_word(exchange.client.method)),
    LogField(
        "target",
        "text",
        "path and query, secrets masked, up to 2048 characters",
        lambda exchange: shown(exchange.client.target, SHOWN_CHARACTERS),
    ),
    LogField(
        "status",
        "number",
        "the response's status; 0 where there was none",
        lambda exchange: _number(exchange.status),
    ),
    LogField(
        "outcome",
        "text",
        "`ok` (answered as the orchestrator or the wait had it, whatever the status), `refused`"
        " (the gateway's own 4xx, or its 503), `failed` (its own 500, 502, 504), `client_closed`,"
        " `cut` (the response could not be completed) or `drained`",
        lambda exchange: exchange.outcome,
    ),
    LogField(
        "reason",
        "text",
        "why the client did not get what it asked for, where that was the gateway's doing",
        lambda exchange: exchange.reason,
    ),
    LogField(
        "bytes_in",
        "number",
        "bytes of the request's content",
        lambda exchange: _number(exchange.client.bytes_received),
    ),
    LogField(
        "bytes_out",
        "number",
        "bytes of the response's content",
        lambda exchange: _number(exchange.client.bytes_sent),
    ),
    LogField(
        "handling_seconds",
        "number",
        "how long the request took, without the time held",
        lambda exchange: _seconds(exchange.handling_seconds),
    ),
    LogField(
        "held_seconds",
        "number",
        "how long it only waited for its job to end",
        lambda exchange: _seconds(exchange.held_seconds),
    ),
    LogField(
        "upstream_status",
        "number",
        "the orchestrator's last status to what was asked for this request; 0 where there was none",
        lambda exchange: _number(exchange.upstream_status),
    ),
    LogField(
        "upstream_seconds",
        "number",
        "how long it took to begin its answers to that, to fail, or until the client left",
        lambda exchange: _seconds(exchange.upstream_seconds),
    ),
    LogField(
        "job_id",
        "text",
        "the job that was created or asked for",
        lambda exchange: shown_word(exchange.job_id),
    ),
    LogField("limit", "text", "the limit that was reached", lambda exchange: exchange.limit),
    LogField(
        "token_hash",
        "text",
        "what `hash-token` prints, so that a rule can name it",
        _token_hash,
    ),
    LogField(
        "organization",
        "text",
        'the token\'s organization, where `identity.mode = "verify"` has proved it',
        _organization,
    ),
    LogField("user", "text", "its user, where that is proved", _user),
    LogField(
        "client",
        "text",
        "the client's address; behind a trusted proxy the one that the proxy tells",
        lambda exchange: shown_address(exchange.address),
    ),
    LogField(
        "user_agent",
        "text",
        "what the client says it is, secrets masked, up to 256 characters",
        _user_agent,
    ),
)
"""In the order of a line. The time comes first, and no request knows it: the log itself does."""


def template(form: Literal["json", "text"]) -> str:
    """A line with ``%`` in the place of each value."""
    if form == "text":
        return " ".join(f"{field.name}=%" for field in FIELDS) + "\n"
    places = {"text": '"%"', "number": "%"}
    return "{" + ",".join(f'"{field.name}":{places[field.type]}' for field in FIELDS) + "}\n"
