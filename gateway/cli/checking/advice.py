"""What settings that can be used may not do as meant."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway import descriptors
from gateway.ops.access.guard import is_loopback
from gateway.sync.keys.stores import NOT_SHARED, is_unshared
from gateway.sync.tethers.sharing import wants_cancelling

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
    wanted = wants_cancelling(config)
    if wanted and not config.redis.url:
        yield (
            f'{" and ".join(wanted)} "cancel": without redis.url each gateway counts its own'
            " clients only, and cancels a job whose client goes on at another one"
        )
    if is_unshared(config):
        yield NOT_SHARED
    admin = config.admin
    if admin.token_file and not admin.tls_cert_file and not is_loopback(admin.host):
        yield (
            "admin.token_file without admin.tls_cert_file: the operators' token goes over the"
            " network in clear"
        )
