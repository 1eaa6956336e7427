"""What settings that can be used may not do as meant."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway import descriptors
from gateway.sync.keys.stores import NOT_SHARED, is_unshared

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gateway.config import Config


def advice(config: Config, most_descriptors: int) -> Iterator[str]:
    """A sentence for each; ``most_descriptors`` is what a process may have."""
    if shortage := descriptors.shortage(most_descriptors, config):
        yield shortage
    if config.listen.workers != 1 and config.sync.result_store == "memory":
        yield (
            'sync.result_store "memory": each worker keeps its own results, and a client that'
            ' comes to another one does not get them; "redis" is for all workers'
        )
    if is_unshared(config):
        yield NOT_SHARED
