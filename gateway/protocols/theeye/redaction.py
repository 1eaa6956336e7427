"""Redacts a request's target, or an address in the settings: no token, no secret is shown.

Of a target are hidden the values of parameters whose name speaks of a secret, also inside another
parameter's value; path segments after ``/secret/``; the userinfo of URLs; and whatever looks like a
JWT. Percent-encoding, several times over too, hides nothing from these rules, be it of the text or
of what separates its parts; what is encoded more often than three times is hidden whole. Linear in
the target's length.
"""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import unquote_plus

MASK = "***"
SHOWN_CHARACTERS: Final = 2048
_DECODINGS = 3
_SENSITIVE = (
    *("token", "secret", "passw", "pwd", "auth", "bearer", "credential", "jwt"),
    *("api_key", "api-key", "apikey", "signature", "assertion", "session"),
)
_SENSITIVE_FIELDS = (*_SENSITIVE, "cookie", "key")
_SUSPICIOUS: Final = (*_SENSITIVE, "eyj", "%", "@")
# Each character is in at most one run, so a hostile target costs no more than its length.
_RUN = re.compile(r"[A-Za-z0-9_.-]++")
_JWT_START: Final = "eyJ"
_NESTED = re.compile(r"""[=:"']|[/\\]secret[/\\]|bearer[ +]""", re.IGNORECASE)
"""What a secret may follow inside a value: another parameter's name, in a query or in JSON; a
segment of a path; a scheme."""
_ESCAPE = re.compile(r"%[0-9A-Fa-f]{2}")
_QUERY = re.compile(r"[?#]")
_SEPARATOR = re.compile(r"([?&#;])")
_SLASH = re.compile(r"[/\\]")
"""Node's ``url.parse`` takes a backslash for a slash."""
_USERINFO = re.compile(r"([/\\]{2})[^/\\@]*+@")
# Where one address of a word has no end, the others in it have none: they are matched with it.
_USERINFO_OF_ADDRESS = re.compile(r"((?<!\w)\w++://)(?:\S*(@)|\S*+)")
_PARAMETERS_OF_ADDRESS = re.compile(r"(://[^\s?]*+)(?:(\?)[^\s#]*)?")
_BEARER = re.compile(r"(\bbearer\s{1,8})[^\s\"',]+", re.IGNORECASE)
_SECRET_SEGMENT = re.compile(r"([/\\]secret[/\\]+)[^\s/\\?#\"']+", re.IGNORECASE)
_SPACES = re.compile(r"(\s+)")
_ASSIGNED = re.compile(
    r"""(?<![\w.%-])([\w.%-]++(?:\[[\w.%-]*+\])?(?:=["']?|": ?"|': b?'))[^\s&;,"']++"""
)
"""A name with its value, in a query, an argument list or JSON."""
_NAME_OF_SECRET = re.compile(r"[^a-z]*secret[^a-z]*(?:;.*)?", re.DOTALL)
"""A segment that routers may read as ``secret``."""


def redact(target: str) -> str:
    """The target with everything secret replaced by ``***``, at most 2048 characters long."""
    shown = _redacted(target) if _is_suspicious(target) else target
    return shown if len(shown) <= SHOWN_CHARACTERS else shown[: SHOWN_CHARACTERS - 3] + "..."


def redacted_address(text: str) -> str:
    """The text with userinfo and all parameters of URLs hidden, also where they are malformed."""
    without_user = _USERINFO_OF_ADDRESS.sub(_masked_userinfo, text)
    return _PARAMETERS_OF_ADDRESS.sub(_masked_parameters, without_user)


def redacted_text(text: str) -> str:
    """A sentence or a traceback with what looks like a secret hidden: the value of ``name=`` where
    the name speaks of one, what follows ``Bearer`` and ``/secret/``, JWTs, and in URLs what is
    hidden in an address. Linear in its length."""
    if "://" in text:
        text = "".join(map(_redacted_word, _SPACES.split(text)))
    text = _BEARER.sub(rf"\1{MASK}", text)
    text = _SECRET_SEGMENT.sub(rf"\1{MASK}", text)
    return _without_jwt(_ASSIGNED.sub(_masked_value, text))


def is_secret_field(name: str, value: str) -> bool:
    """Tell whether a field's name or its value speaks of a secret: the line is not to be shown."""
    if _has_any(_SENSITIVE_FIELDS, name) or _has_any((*_SENSITIVE, "eyj"), _decoded(value)):
        return True
    return redact(value) != value


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
        if not segment:
            continue
        # An escaped slash is one for some router.
        parts = [part for part in _SLASH.split(_decoded(segment).lower()) if part]
        names = [_NAME_OF_SECRET.fullmatch(part) is not None for part in parts] or [after_secret]
        segments[index] = MASK if after_secret or any(names[:-1]) else _parameters(segment)
        # Which of /secret/secret/x is the secret?
        after_secret = names[-1]
    return "/".join(segments)


def _parameters(text: str) -> str:
    return "".join(_parameter(piece) for piece in _SEPARATOR.split(text)) if text else ""


def _parameter(piece: str) -> str:
    name, equals, value = piece.partition("=")
    plain_name = _decoded(name)
    if plain_name is not name and _names_secret(plain_name):
        return MASK
    shown = _text(name, plain_name) + equals
    if not value:
        return shown
    plain = _decoded(value)
    if _has_any(_SENSITIVE, plain_name) or _names_secret(plain):
        return shown + MASK
    return shown + _text(value, plain)


def _names_secret(plain: str) -> bool:
    """Tell whether a secret stands behind its name, in a value or a name with an escaped end."""
    return _NESTED.search(plain) is not None and _has_any(_SENSITIVE, plain)


def _text(raw: str, plain: str) -> str:
    if "@" in plain and _USERINFO.search(plain):
        return MASK
    shown = _without_jwt(raw)
    if plain is raw:
        return shown
    # A JWT that shows only when decoded cannot be cut out of the raw text; nor can anybody tell
    # what stands in a text that is escaped still more often.
    return MASK if _without_jwt(plain) != plain or _ESCAPE.search(plain) else shown


def _without_jwt(text: str) -> str:
    return _RUN.sub(_masked_run, text) if _JWT_START in text else text


def _masked_run(match: re.Match[str]) -> str:
    run = match[0]
    start = run.find(_JWT_START)
    return run[:start] + MASK if start >= 0 and run.count(".", start) >= 2 else run


def _masked_userinfo(match: re.Match[str]) -> str:
    return f"{match[1]}{MASK}@" if match[2] else match[0]


def _masked_parameters(match: re.Match[str]) -> str:
    return f"{match[1]}?{MASK}" if match[2] else match[0]


def _redacted_word(word: str) -> str:
    if "://" not in word:
        return word
    return redacted_address(word) if len(word) <= SHOWN_CHARACTERS else MASK


def _masked_value(match: re.Match[str]) -> str:
    return match[1] + MASK if _has_any(_SENSITIVE, _decoded(match[1])) else match[0]


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
