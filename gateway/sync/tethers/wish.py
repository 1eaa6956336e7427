"""What is to become of a job when its creator stops waiting for it: as the request that creates the
job says, else the settings. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from gateway import wording
from gateway.errors import BadRequest
from gateway.protocols.http.fields import has, values

if TYPE_CHECKING:
    from gateway.config import SyncConfig
    from gateway.downstream.request import Client

ON_TIMEOUT: Final = b"x-theeye-on-timeout"
ON_DISCONNECT: Final = b"x-theeye-on-disconnect"
_NAMES: Final = {ON_TIMEOUT: "X-TheEye-On-Timeout", ON_DISCONNECT: "X-TheEye-On-Disconnect"}
_CANCELS: Final = {b"continue": False, b"cancel": True}
_SHOWN_CHARACTERS = 32


@dataclass(frozen=True, slots=True)
class Wish:
    """Events upon which the job is cancelled."""

    on_timeout: bool
    """The last request of the creator's wait has ended without a result."""
    on_disconnect: bool
    """The creator's connection was lost, or it did not follow a redirect, and nobody has come
    back."""

    @property
    def is_any(self) -> bool:
        return self.on_timeout or self.on_disconnect


NO_WISH: Final = Wish(on_timeout=False, on_disconnect=False)


def wish_of(client: Client, config: SyncConfig, obstacle: str) -> Wish:
    """
    ``obstacle``: why this client's jobs cannot be cancelled for it, empty where they can. The
    settings ask for nothing then.

    Raises:
        BadRequest: a field has another value than ``continue`` or ``cancel``, or asks for what
            cannot be.
    """
    on_timeout = _said(client, ON_TIMEOUT)
    on_disconnect = _said(client, ON_DISCONNECT)
    if obstacle:
        if on_timeout or on_disconnect:
            raise BadRequest(f"The job could not be cancelled: {obstacle}")
        return NO_WISH
    return Wish(
        config.on_timeout == "cancel" if on_timeout is None else on_timeout,
        config.on_disconnect == "cancel" if on_disconnect is None else on_disconnect,
    )


def is_wishless(client: Client, config: SyncConfig) -> bool:
    """Neither the request nor the settings say anything, as mostly."""
    is_told = has(client.names, ON_TIMEOUT) or has(client.names, ON_DISCONNECT)
    return not is_told and config.on_timeout == config.on_disconnect == "continue"


def check_wish(client: Client) -> None:
    """
    Raises:
        BadRequest: a field has another value than ``continue`` or ``cancel``.
    """
    _said(client, ON_TIMEOUT)
    _said(client, ON_DISCONNECT)


def _said(client: Client, field: bytes) -> bool | None:
    """What a field says, None where there is none."""
    if not has(client.names, field):
        return None
    given = {value.strip().lower() for value in values(client.fields, field)}
    said = given.pop()
    if given or said not in _CANCELS:
        shown = wording.shown(said.decode("latin-1")[:_SHOWN_CHARACTERS])
        found = "has several values" if given else f"is {shown}"
        raise BadRequest(f"{_NAMES[field]} must be continue or cancel, and {found}")
    return _CANCELS[said]
