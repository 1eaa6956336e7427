"""The preferences of a request (RFC 7240). Pure.

    Prefer: respond-async, wait=10; note="any"
            ^name          ^name ^value ^parameter

What is malformed or unknown is as if it were not there; the first of several with one name counts,
over all field lines. Only ``handling=strict`` makes an error of what is malformed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

MAX_WAIT_SECONDS = 10**9
"""A longer ``wait`` counts as this."""
_TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_WORD = rb'(?:%b|"(?:[^"\\]|\\.)*")' % _TOKEN
# What stands before a semicolon can be matched in one way only: else many of them, with something
# malformed behind, would be tried in more ways than anybody can wait for.
_PARAMETER = rb"[ \t]*;(?:[ \t]*%b(?:[ \t]*=[ \t]*%b)?)?" % (_TOKEN, _WORD)
_PREFERENCE = re.compile(
    rb"(%b)(?:[ \t]*=[ \t]*(%b))?(?:%b)*" % (_TOKEN, _WORD, _PARAMETER), re.DOTALL
)
_MEMBER = re.compile(rb'(?:"(?:[^"\\]|\\.)*"|[^",])*', re.DOTALL)
_QUOTED_PAIR = re.compile(rb"\\(.)", re.DOTALL)
_HANDLING = frozenset({b"strict", b"lenient"})


@dataclass(frozen=True, slots=True)
class Preferences:
    """Those that the gateway knows."""

    wait_seconds: int | None = None
    """How long the client would wait for the response; 0 to ``MAX_WAIT_SECONDS``."""
    respond_async: bool = False
    """The client takes a 202 for a response that would take long."""
    is_strict: bool = False
    """The client wants an error for what is malformed."""
    malformed: bytes | None = None
    """The first preference that is malformed, as it came."""

    @property
    def asks_for_waiting(self) -> bool:
        """Tell whether they say anything of when to respond."""
        return self.wait_seconds is not None or self.respond_async


NO_PREFERENCES = Preferences()


def preferences(lines: Iterable[bytes]) -> Preferences:
    """Read the values of all ``Prefer`` lines, in order."""
    named: dict[bytes, bytes] = {}
    malformed: bytes | None = None
    for member in _members(lines):
        found = _PREFERENCE.fullmatch(member)
        if found is None:
            malformed = malformed or member
            continue
        name = found[1].lower()
        if name in named:
            continue
        named[name] = value = _unquoted(found[2] or b"")
        if not _is_sound(name, value):
            malformed = malformed or member
    wait = named.get(b"wait", b"")
    return Preferences(
        min(int(wait[:10]), MAX_WAIT_SECONDS) if wait.isdigit() else None,
        named.get(b"respond-async") == b"",
        named.get(b"handling", b"").lower() == b"strict",
        malformed,
    )


def _members(lines: Iterable[bytes]) -> Iterable[bytes]:
    """What stands between the commas that are not in a quoted string; empty ones are left out."""
    for line in lines:
        at = 0
        while at <= len(line):
            found = _MEMBER.match(line, at)
            assert found is not None, "it may be empty"
            end = found.end()
            if line[end : end + 1] == b'"':
                # A quoted string without an end has all the rest.
                end = len(line)
            if member := line[at:end].strip(b" \t"):
                yield member
            at = end + 1


def _unquoted(word: bytes) -> bytes:
    return _QUOTED_PAIR.sub(rb"\1", word[1:-1]) if word[:1] == b'"' else word


def _is_sound(name: bytes, value: bytes) -> bool:
    """Tell whether a preference that is known has a value that it may have."""
    if name == b"wait":
        return value.isdigit()
    if name == b"respond-async":
        return not value
    return name != b"handling" or value.lower() in _HANDLING
