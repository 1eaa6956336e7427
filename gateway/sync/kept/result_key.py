"""What a kept result is for: one client, one organization, one job. Pure."""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from gateway.admission.identity.identities import Identity
    from gateway.sync.jobs.access import JobAccess

HOLDER_BYTES = 16
_CONTEXT = b"theeye-sync-gateway kept result 1\0"
_OF_WORKFLOW = b"theeye-sync-gateway kept workflow 1\0"


class ResultKey(NamedTuple):
    holder: bytes
    """Whose it is, as ``holder`` has it: ``HOLDER_BYTES``."""
    customer: str
    job_id: str
    """In lower case: 24 characters."""
    is_of_workflow: bool = False
    """The result of a workflow, whose job has none of its own; else that of the job itself."""

    @property
    def context(self) -> bytes:
        """All of it in one text, which no other key has: the lengths of the first parts are
        fixed."""
        job = self.job_id.encode("ascii")
        whose = _OF_WORKFLOW if self.is_of_workflow else _CONTEXT
        return whose + self.holder + job + self.customer.encode("utf-8", "surrogatepass")

    @property
    def digest(self) -> str:
        """A hash of that, 32 hexadecimal digits, which tells nothing of the client or the job."""
        return blake2b(self.context, digest_size=16).hexdigest()


def key_of(access: JobAccess, holder: bytes) -> ResultKey:
    """What the job's result is kept under for a holder."""
    return ResultKey(holder, access.customer, access.job_id.lower(), bool(access.workflow_id))


def holder(access: JobAccess, identity: Identity) -> bytes | None:
    """A hash of what lets this client read the job: the job's secret; organization and user, where
    they are verified, so that a new log-in is nobody new; else the token. None where it has none
    of them."""
    if access.secret:
        secret = access.secret.encode()
        return blake2b(secret, digest_size=HOLDER_BYTES, person=b"job secret").digest()
    return identity.key if identity.is_verified else identity.token_hash
