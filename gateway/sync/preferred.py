"""What a request's preferences come to: how long it is held, and what it is told if the job goes on
(RFC 7240). Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from gateway import wording
from gateway.errors import BadRequest
from gateway.protocols.http.fields import has, values
from gateway.protocols.http.preferences import NO_PREFERENCES, preferences

if TYPE_CHECKING:
    from gateway.config import SyncConfig
    from gateway.downstream.request import Client
    from gateway.errors import Field
    from gateway.protocols.http.preferences import Preferences

VARY: Field = (b"Vary", b"Prefer")
_SHOWN_CHARACTERS = 32


@dataclass(frozen=True, slots=True)
class Holding:
    """How a client is served that waits for a job."""

    seconds: float
    """How long its request is held at most."""
    redirects: bool
    """When the time is up it is sent to where it can wait on; else it is told that the job goes
    on (202)."""
    applied: tuple[bytes, ...] = ()
    """The preferences that this honours (RFC 7240, 3)."""

    @property
    def waits(self) -> bool:
        """Tell whether the client waits, now or by its next request."""
        return self.redirects or self.seconds > 0

    def fields(self, *, has_result: bool) -> tuple[Field, ...]:
        """What the response says of preferences: nothing where none was honoured."""
        if not self.applied:
            return ()
        honoured = self.applied[-1:] if has_result else self.applied
        return ((b"Preference-Applied", b", ".join(honoured)), VARY)


def preferences_of(client: Client) -> Preferences:
    """
    Raises:
        BadRequest: one is malformed, and the client wants to be told.
    """
    if not has(client.names, b"prefer"):
        return NO_PREFERENCES
    found = preferences(values(client.fields, b"prefer"))
    if found.is_strict and found.malformed is not None:
        shown = wording.shown(found.malformed.decode("latin-1")[:_SHOWN_CHARACTERS])
        raise BadRequest(f"Prefer has {shown}, which is malformed, and asks for strict handling")
    return found


def holding(found: Preferences, config: SyncConfig, *, otherwise_seconds: float) -> Holding:
    """What the preferences come to; a client without any is held for ``otherwise_seconds`` and then
    redirected."""
    if not found.asks_for_waiting:
        return Holding(otherwise_seconds, redirects=True)
    applied: tuple[bytes, ...] = (b"respond-async",) if found.respond_async else ()
    seconds = 0
    if found.wait_seconds is not None:
        seconds = min(found.wait_seconds, config.max_prefer_seconds)
        applied += (b"wait=%d" % seconds,)
    return Holding(seconds, redirects=False, applied=applied)
