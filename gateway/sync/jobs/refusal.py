"""Tells whether a 4xx of the upstream is about the job that was asked for. Pure.

While TheEye's session service fails, TheEye passes its status on, be it 403 or 404, with the stack
of its own look-up as content (recording auth_gateway_status). A proxy between may respond alike.
Such a response says nothing about the job: only the words that TheEye has for jobs do.
"""

from __future__ import annotations

import msgspec

from gateway.admission.identity.rejection import is_failed_lookup

_WORDS = {
    403: frozenset({"forbidden", "invalid secret"}),
    404: frozenset({"job not found", "organization not found", "workflow not found"}),
}
"""Words about jobs by status, in lower case (recordings job_read_errors, secret_result,
workflow_job_more)."""
_GONE = "job not found"
TRY_LATER = frozenset({408, 429})
_OF_THE_TOKEN = frozenset({400, 401})
"""Statuses of a look-up that failed for what the client sent: a token that nobody has, or that
cannot be looked up (recording auth_errors)."""


class _ErrorBody(msgspec.Struct):
    message: object = None


_decoder: msgspec.json.Decoder[str | _ErrorBody] = msgspec.json.Decoder(str | _ErrorBody)


def is_refusal(status: int, content: bytes) -> bool:
    """True where the upstream refuses the job for good; False where it is failing."""
    if not 400 <= status < 500 or status in TRY_LATER:
        return False
    words = _WORDS.get(status)
    if words is not None:
        return _message(content).lower() in words
    return status in _OF_THE_TOKEN or not is_failed_lookup(content)


def is_gone(status: int, content: bytes) -> bool:
    """True where the upstream let the client in, and has no such job."""
    return status == 404 and _message(content) == _GONE


def _message(content: bytes) -> str:
    """The words of an error: TheEye's older routes have a string, the newer ones ``message``."""
    body = _decode(content)
    if isinstance(body, _ErrorBody):
        return body.message if isinstance(body.message, str) else ""
    return body


def _decode(content: bytes) -> str | _ErrorBody:
    try:
        return _decoder.decode(content)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return ""
