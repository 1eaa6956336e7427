"""The field ``Idempotency-Key`` (draft-ietf-httpapi-idempotency-key-header-07, 2.1). Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from gateway.errors import BadRequest

if TYPE_CHECKING:
    from collections.abc import Iterable

FIELD = b"idempotency-key"
"""Its name, in lower case."""
MAX_CHARACTERS = 255
_BARE = re.compile(r"[!-~]+")
_PARAMETERS = r'(?: *; *[a-z*][a-z0-9_.*-]*(?:=(?:"(?:[ !#-\[\]-~]|\\["\\])*"|[!#-+\--:<-~]+))?)*'
_QUOTED = re.compile(rf'"((?:[!#-\[\]-~]|\\["\\])*)"{_PARAMETERS}')
"""A String of Structured Fields without a space; parameters mean nothing (RFC 9651, 3.3.3)."""
_ESCAPED = re.compile(r"\\(.)")


def idempotency_key(lines: Iterable[bytes]) -> str | None:
    """The key that the field's lines name, None where there are none.

    ``"k"`` and ``k`` are the same key; a line may come twice.

    Raises:
        BadRequest: a line has no key of 1 to 255 visible ASCII characters, or they have several.
    """
    keys = {_key(line.strip(b" \t").decode("latin-1")) for line in lines}
    if len(keys) > 1:
        raise BadRequest("Idempotency-Key is given several times, with different keys")
    return next(iter(keys), None)


def _key(text: str) -> str:
    if text.startswith('"'):
        quoted = _QUOTED.fullmatch(text)
        key = "" if quoted is None else _ESCAPED.sub(r"\1", quoted[1])
    else:
        key = text
    if _BARE.fullmatch(key) is None or len(key) > MAX_CHARACTERS:
        raise BadRequest(
            f"Idempotency-Key must be 1 to {MAX_CHARACTERS} visible ASCII characters,"
            " in double quotes or bare"
        )
    return key
