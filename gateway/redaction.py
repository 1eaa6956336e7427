"""What may be shown of a request's target: no token, no secret, wherever in it they stand.

Hidden are the values of parameters whose name speaks of a secret, also inside another parameter's
value; path segments after ``/secret/``; and whatever looks like a JWT. Percent-encoding, several
times over too, hides nothing from these rules. Linear in the target's length.
"""

from __future__ import annotations

import re
from urllib.parse import unquote_plus

MASK = "***"
SHOWN_CHARACTERS = 2048
_DECODINGS = 3
_SENSITIVE = (
    *("token", "secret", "passw", "pwd", "auth", "bearer", "credential", "jwt"),
    *("api_key", "api-key", "apikey", "signature", "assertion", "session"),
)
_SUSPICIOUS = (*_SENSITIVE, "eyj", "%", "@")
# Each character is in at most one run, so a hostile target costs no more than its length.
_RUN = re.compile(r"[A-Za-z0-9_.-]++")
_JWT_START = "eyJ"
_NESTED = re.compile(r"=|/secret/", re.IGNORECASE)
_QUERY = re.compile(r"[?#]")
_SEPARATOR = re.compile(r"([?&#;])")
_USERINFO = re.compile(r"(//)[^/@]*+@")


def redact(target: str) -> str:
    """The target with everything secret replaced by ``***``, at most 2048 characters long."""
    shown = _redacted(target) if _is_suspicious(target) else target
    return shown if len(shown) <= SHOWN_CHARACTERS else shown[: SHOWN_CHARACTERS - 3] + "..."


def _is_suspicious(target: str) -> bool:
    if "=" in target:
        return _has_any(_SUSPICIOUS, target)
    # No parameters: nothing is hidden for its name.
    return "%" in target or "@" in target or _JWT_START in target or "secret" in target.lower()


def _redacted(target: str) -> str:
    query = _QUERY.search(target)
    end = query.start() if query else len(target)
    return _path(target[:end]) + _parameters(target[end:])


def _path(path: str) -> str:
    if "@" in path:
        path = _USERINFO.sub(rf"\1{MASK}@", path)
    if not _has_any(_SUSPICIOUS, path):
        return path
    segments = path.split("/")
    after_secret = False
    for index, segment in enumerate(segments):
        plain = _decoded(segment)
        is_name = plain.lower() == "secret"
        if after_secret and segment:
            segments[index] = MASK
            # Which of /secret/secret/x is the secret?
            after_secret = is_name
        else:
            segments[index] = _parameters(segment)
            after_secret = is_name or (after_secret and not segment)
    return "/".join(segments)


def _parameters(text: str) -> str:
    return "".join(_parameter(piece) for piece in _SEPARATOR.split(text)) if text else ""


def _parameter(piece: str) -> str:
    name, equals, value = piece.partition("=")
    plain_name = _decoded(name)
    shown = _text(name, plain_name) + equals
    if not value:
        return shown
    plain = _decoded(value)
    if _has_any(_SENSITIVE, plain_name) or (_NESTED.search(plain) and _has_any(_SENSITIVE, plain)):
        return shown + MASK
    return shown + _text(value, plain)


def _text(raw: str, plain: str) -> str:
    shown = _without_jwt(raw)
    # A JWT that shows only when decoded cannot be cut out of the raw text.
    return MASK if plain is not raw and _without_jwt(plain) != plain else shown


def _without_jwt(text: str) -> str:
    return _RUN.sub(_masked_run, text) if _JWT_START in text else text


def _masked_run(match: re.Match[str]) -> str:
    run = match[0]
    start = run.find(_JWT_START)
    return run[:start] + MASK if start >= 0 and run.count(".", start) >= 2 else run


def _decoded(text: str) -> str:
    for _ in range(_DECODINGS):
        if "%" not in text:
            break
        text = unquote_plus(text)
    return text


def _has_any(words: tuple[str, ...], text: str) -> bool:
    # Substring tests are several times faster than one case-insensitive expression.
    lowered = text.lower()
    for word in words:  # noqa: SIM110 - called for each parameter of each request
        if word in lowered:
            return True
    return False
