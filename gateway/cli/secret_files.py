"""Secrets that stand in files of their own: a setting that a file is read for when it is loaded.

``identity.secret_file`` and ``admin.token_file`` are none of these: they are read by who uses them,
and no setting has their content.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.admission.identity.key_files import UnusableKey, content_of

if TYPE_CHECKING:
    from collections.abc import Iterator

FILES = {"redis.url": "redis.url_file"}
"""The settings that name a file, by the setting that is in it."""


def read_secrets(values: dict[str, object], origins: dict[str, str]) -> Iterator[tuple[str, str]]:
    """Put what the files have into ``values``, and where they are named into ``origins``; the
    settings for which that cannot be done, each with the reason, in which nothing is secret."""
    for key, file_key in FILES.items():
        path = values.get(file_key)
        if not path:
            continue
        where = origins[file_key].removesuffix(f": {file_key}")
        if values.get(key):
            yield key, f"{where}: only one of {key} and {file_key} can be set"
            continue
        try:
            values[key] = _text_of(str(path))
            origins[key] = origins[file_key]
        except UnusableKey as failure:
            yield key, f'{where}: {file_key} "{path}": {failure}'


def _text_of(path: str) -> str:
    """The content of a file without the line break at its end.

    Raises:
        UnusableKey: it cannot be read, or has nothing that could be meant.
    """
    content = content_of(path).rstrip(b"\r\n")
    if not content:
        raise UnusableKey("there is nothing in it")
    try:
        return content.decode()
    except UnicodeDecodeError:
        raise UnusableKey("it is not in UTF-8") from None
