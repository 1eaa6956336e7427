"""The certificate that all workers show: by the number of its pair of files.

    supervisor                 workers 1, 2, ...
    pair 0, at the start  ──▶  the first blank context, with these files
    pair 1, after those   ──▶  the second one
    ...

Contexts with the same number have the same keys in all workers, which clients' sessions are sealed
with; so a session that one worker began any other resumes. A context is used for one pair only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.downstream.listening.tls import Certificate, blank_context
from gateway.server.reload.files import stamp

if TYPE_CHECKING:
    import ssl
    from collections.abc import Sequence

    from gateway.config import ListenConfig
    from gateway.server.reload.files import Stamp

BLANKS = 64
"""How many pairs of certificate and key there may be until a restart. Two for each renewal, where
the files are written one after the other."""
UNNUMBERED = -1
"""Stands for a pair that one worker has and no other: when it began the files were other ones than
those that had a number."""


class Pairs:
    """Numbers the pairs of certificate and key, from 0: the supervisor's side."""

    def __init__(self) -> None:
        self._number = -1
        self._seen: object = None

    def number(self, listen: ListenConfig) -> int:
        """The same as last time while the files are."""
        seen = _stamps(listen)
        if seen != self._seen:
            self._seen = seen
            self._number += 1
        return self._number

    def still(self, number: int, listen: ListenConfig) -> int:
        """``number`` if the files are those that have it, else ``UNNUMBERED``."""
        is_same = number == self._number and _stamps(listen) == self._seen
        return number if is_same else UNNUMBERED


def _stamps(listen: ListenConfig) -> tuple[Stamp | None, Stamp | None]:
    return stamp(listen.tls_cert_file), stamp(listen.tls_key_file)


class Certificates:
    """Reads the pairs: a worker's side. ``number`` is that which it begins with; without ``blanks``
    for all of them each context has keys of its own.
    """

    def __init__(self, blanks: Sequence[ssl.SSLContext], number: int) -> None:
        self._blanks = blanks
        self.number = number
        """Of that which is shown."""

    def blank(self, number: int) -> ssl.SSLContext:
        """The context for this pair."""
        return self._blanks[number] if 0 <= number < len(self._blanks) else blank_context()

    def other(self, listen: ListenConfig, number: int) -> Certificate | None:
        """None if it is the pair that is shown.

        Raises:
            UnusableCertificate
        """
        if number == self.number:
            return None
        return Certificate(listen.tls_cert_file, listen.tls_key_file, self.blank(number))
