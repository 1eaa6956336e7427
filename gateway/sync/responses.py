"""The responses of a hold that are made here: sent on, timed out, or with what a task gave.

All of them carry fields of the upstream's, and no cache may keep them.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

import msgspec

from gateway.errors import JSON_CONTENT, NO_STORE, Response
from gateway.protocols.http.fields import value, without

if TYPE_CHECKING:
    from collections.abc import Iterable

    from gateway.errors import Field


class KnownJob(msgspec.Struct):
    """What a client is told of a job that is not known to have ended."""

    id: str
    lifecycle: str | None
    state: str | None


class _TimeoutBody(msgspec.Struct, rename="camel", kw_only=True):
    status_code: int
    message: str
    job: KnownJob


def see_other(location: str, carried: tuple[Field, ...]) -> Response:
    """The client is sent on, as TheEye does it."""
    fields = ((b"Location", location.encode("ascii")), JSON_CONTENT)
    return made_here(Response(303, b"{}", fields), carried)


def accepted(
    content: bytes,
    fields: Iterable[Field],
    *,
    location: str,
    retry_seconds: int,
    preferred: tuple[Field, ...] = (),
) -> Response:
    """The job goes on; its result can be had at ``location`` later (RFC 9110, 15.3.3)."""
    return Response(
        202,
        content,
        (
            *fields,
            (b"Location", location.encode("ascii")),
            (b"Retry-After", b"%d" % retry_seconds),
            *preferred,
        ),
    )


def shortened(job: KnownJob) -> bytes:
    """A job of which no more is known."""
    return msgspec.json.encode(job)


def timed_out(status: int, job: KnownJob, carried: tuple[Field, ...]) -> Response:
    """The last request of a wait has ended without a result."""
    body = _TimeoutBody(status_code=status, message=HTTPStatus(status).phrase, job=job)
    return made_here(Response(status, msgspec.json.encode(body)), carried)


def made_here(response: Response, carried: tuple[Field, ...]) -> Response:
    """The response, behind the carried fields but for ``Server`` where the task has chosen one."""
    if value(response.fields, b"server") is not None:
        carried = tuple(without(carried, b"server"))
    return Response(response.status, response.content, (*carried, *response.fields, NO_STORE))
