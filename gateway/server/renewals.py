"""Taking up files that were renewed."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from gateway.admission.identity.key_files import UnusableKey
from gateway.downstream.listening.tls import UnusableCertificate

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_log = logging.getLogger("gateway")


def renew_all(renewals: Mapping[str, Callable[[], object]]) -> bool:
    """Read all files again, and log what came of it; one that cannot be used changes nothing.
    Whether all could be used.
    """
    is_whole = True
    for name, renew in renewals.items():
        try:
            renew()
        except (UnusableCertificate, UnusableKey) as failure:
            _log.error("%s stays as it was: %s", name, failure)
            is_whole = False
        else:
            _log.info("%s was read again", name)
    return is_whole
