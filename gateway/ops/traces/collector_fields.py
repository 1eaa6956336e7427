"""The fields by which the collector knows us, from a file: one ``Name: value`` a line."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

MOST_BYTES: Final = 16 * 1024
_LINE = re.compile(r"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([!-~](?:[ \t!-~]*[!-~])?)[ \t]*")
"""RFC 9110, 5.1 and 5.5."""


class UnusableFields(Exception):
    """The file cannot be read, or a line is no field; says which, and nothing of its value."""


def collector_fields(path: str) -> dict[str, str]:
    """The fields in a file; empty lines, and those that begin with ``#``, say nothing.

    Raises:
        UnusableFields
    """
    try:
        with Path(path).open("rb") as file:
            content = file.read(MOST_BYTES + 1)
    except OSError as failure:
        raise UnusableFields(failure.strerror or "cannot be read") from None
    if len(content) > MOST_BYTES:
        raise UnusableFields(f"has more than {MOST_BYTES} bytes")
    fields: dict[str, str] = {}
    for number, line in enumerate(content.decode("latin-1").splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        field = _LINE.fullmatch(line)
        if field is None:
            raise UnusableFields(f"line {number} is not of the form Name: value")
        fields[field[1]] = field[2]
    return fields
