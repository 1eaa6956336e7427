"""A client's way to one job: whose job it is and what lets the client read it. Pure.

Credentials are repeated upstream exactly as they came, and live as long as their request, or as its
job is followed (``sync.following``).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from hashlib import blake2b
from typing import TYPE_CHECKING
from urllib.parse import quote

from gateway.admission.identity.claims import is_customer_name
from gateway.admission.identity.token import is_token_parameter
from gateway.errors import BadRequest, Field
from gateway.protocols.http.fields import value as field_value
from gateway.upstream.messages.messages import Heard

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from gateway.admission.identity.identities import Identity
    from gateway.protocols.http.query import Query

NO_CUSTOMER = "-"
"""The organization in a target where none is known: the upstream then checks the token and answers
401, or 404 "organization not found"."""
_ACCEPT: Field = (b"Accept", b"application/json")


@dataclass(frozen=True, slots=True)
class Credentials:
    """The token of a request, as it came; its repr shows nothing of it."""

    query: str = field(repr=False)
    """The raw ``access_token=…`` pairs of the query."""
    fields: tuple[Field, ...] = field(repr=False)
    """The ``Authorization`` lines."""


def credentials(query: Query, fields: Iterable[Field]) -> Credentials:
    return Credentials(
        "&".join(pair.raw for pair in query.pairs if is_token_parameter(pair.key)),
        tuple(line for line in fields if line[0].lower() == b"authorization"),
    )


@dataclass(frozen=True, slots=True)
class JobAccess:
    """One client's way to read one job: by its token, or by the job's own secret."""

    job_id: str
    customer: str
    credentials: Credentials
    origin: bytes | None = None
    """The client's, so that the upstream's Access-Control fields fit it."""
    secret: str = field(default="", repr=False)
    """The job's secret as it stands in the path; empty for access by token."""
    workflow_id: str = ""
    """The workflow whose own job it is, as it stands in the path; empty for a task's job."""
    client: bytes = field(default=b"", repr=False)
    """The key of the client in whose share of memory the job is read."""
    heard: Heard = field(default_factory=Heard, repr=False, compare=False)
    """The upstream's responses to reads for the client."""
    _batch_key: bytes = field(default=b"", init=False, repr=False, compare=False)

    @property
    def batch_key(self) -> bytes:
        """A hash, equal for accesses that differ in nothing but the job: one request can ask for
        the jobs of all of them."""
        if not self._batch_key:
            same = (self.customer, self.credentials.query, self.credentials.fields, self.secret)
            key = blake2b(repr(same).encode(), digest_size=16).digest()
            # Made where it is wanted: many a request ends without.
            object.__setattr__(self, "_batch_key", key)
        return self._batch_key

    @property
    def path(self) -> str:
        """The path at which the client finds the result."""
        return result_path(self.job_id, self.secret, self.workflow_id)

    @property
    def target(self) -> str:
        """The target of a read of the job, upstream."""
        if self.secret:
            return f"{self.path}?full&counter=0&limit=1"
        return self.with_token(f"/{quote(self.customer, safe='')}/job/{self.job_id}")

    def with_token(self, path: str, query: str = "") -> str:
        """A target with the client's token where that came in a query."""
        parts = [part for part in (self.credentials.query, query) if part]
        return f"{path}?{'&'.join(parts)}" if parts else path

    def of_job(self, job_id: str) -> JobAccess:
        """The same client's access to a task's job."""
        return replace(self, job_id=job_id, workflow_id="")

    @property
    def request_fields(self) -> list[Field]:
        """The fields of a read for the client, upstream."""
        origin = [] if self.origin is None else [(b"Origin", self.origin)]
        return [*self.poll_fields, *origin]

    @property
    def poll_fields(self) -> list[Field]:
        """The fields of a poll for several clients with the same credentials."""
        return [_ACCEPT, *self.credentials.fields]


def result_path(job_id: str, secret: str = "", workflow_id: str = "") -> str:
    if workflow_id:
        return f"/workflows/{workflow_id}/job/{job_id}/result"
    return f"/job/{job_id}/secret/{secret}/result" if secret else f"/job/{job_id}/result"


def job_access(
    job_id: str,
    query: Query,
    fields: Sequence[Field],
    identity: Identity,
    default_customer: str,
    *,
    workflow_id: str = "",
) -> JobAccess:
    """Access by token, to a job of the query's organization, else the token's, else the default.

    Raises:
        BadRequest: ``customer`` is not the name of one organization.
    """
    given = query.values("customer")
    if len(given) > 1 or not all(map(is_customer_name, given)):
        raise BadRequest("customer must be the name of one organization")
    customer = next(iter(given), "") or identity.customer or default_customer or NO_CUSTOMER
    origin = field_value(fields, b"origin")
    token = credentials(query, fields)
    return JobAccess(job_id, customer, token, origin, workflow_id=workflow_id, client=identity.key)


def secret_access(
    job_id: str, secret: str, fields: Sequence[Field], identity: Identity
) -> JobAccess:
    """Access by the job's secret, for a client that has no token."""
    origin = field_value(fields, b"origin")
    return JobAccess(job_id, "", Credentials("", ()), origin, secret, client=identity.key)
