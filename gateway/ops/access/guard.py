"""Whether a request to the admin listener may do what is for operators only.

Without a token (``admin.token_file``) it must come from this machine, and by a name of it: a page
on the web can have its own name lead here (DNS rebinding), but cannot change the ``Host`` by which
it asks. A request that a proxy on this machine has passed on comes from elsewhere. With a token
each request shows it, or has a session that was begun with it.

Either way nothing is done for a page of another site, which a browser names in ``Origin`` and
``Sec-Fetch-Site`` (Fetch Metadata).
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_address
from typing import TYPE_CHECKING

from gateway.admission.addresses import address_key
from gateway.admission.limits.gcra import SECOND, Rate
from gateway.admission.recent import Recent
from gateway.errors import TooManyRequests
from gateway.ops.access.refusals import CHALLENGE, OperatorsOnly, OperatorTokenNeeded

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from multidict import CIMultiDict, CIMultiDictProxy

    from gateway.ops.access.sessions import OperatorSessions
    from gateway.ops.access.token import OperatorToken

    Fields = CIMultiDict[str] | CIMultiDictProxy[str]

WRONG_TOKENS = Rate(per_second=0.2, burst=10)
"""What an address may show of them; then it has to wait, with the right one too."""
MOST_ADDRESSES = 4096
"""Whose wrong tokens are counted."""
_LOCAL_NAMES = frozenset({"localhost", "localhost.", "ip6-localhost"})
_WILDCARDS = frozenset({"", "0.0.0.0", "::"})
_FORWARDED = frozenset({"forwarded", "x-real-ip", "via"})
_FORWARDED_BEGINS = "x-forwarded-"
"""Of a request with a field of these names the sender is not the peer."""
_SAFE = frozenset({"GET", "HEAD"})
_HERE = (
    "Only from the machine that the gateway runs on, by a name of that machine (localhost), as long"
    " as admin.token_file names no token: ask there, through kubectl port-forward or ssh -L say, or"
    " set it"
)
_ELSEWHERE = "A page of another site cannot ask for this"


@dataclass(frozen=True, slots=True)
class Visit:
    """What is known of a request."""

    method: str
    peer: str
    """The address that it comes from; empty where there is none."""
    fields: Fields
    session: str = ""
    """The id that its cookie has; empty without one."""


class Guard:
    """``token`` is None where there is none; ``host`` is the name the listener was given. ``clock``
    gives monotonic seconds."""

    def __init__(
        self,
        token: OperatorToken | None,
        sessions: OperatorSessions,
        host: str,
        clock: Callable[[], float],
    ) -> None:
        self._token = token
        self._sessions = sessions
        self._names = _LOCAL_NAMES if host in _WILDCARDS else _LOCAL_NAMES | {host.lower()}
        self._clock = clock
        self._wrong: Recent[int] = Recent(MOST_ADDRESSES)

    @property
    def needs_token(self) -> bool:
        return self._token is not None

    def admit(self, visit: Visit) -> None:
        """Let an operator pass.

        Raises:
            OperatorsOnly, OperatorTokenNeeded, TooManyRequests
        """
        self.refuse_other_sites(visit)
        if self._token is None:
            if not self._is_from_here(visit):
                raise OperatorsOnly(_HERE)
        elif not (visit.session and self._sessions.is_open(visit.session)):
            self.judge(_bearer(visit.fields.getall("Authorization", ())), visit.peer)

    def refuse_other_sites(self, visit: Visit) -> None:
        """
        Raises:
            OperatorsOnly: a browser says that a page of another origin asks.
        """
        fields = visit.fields
        if visit.method in _SAFE:
            # Who follows a link to the page comes from elsewhere, and is no danger.
            is_foreign = (
                fields.get("Sec-Fetch-Site") == "cross-site"
                and fields.get("Sec-Fetch-Mode") != "navigate"
            )
        else:
            is_foreign = fields.get("Sec-Fetch-Site", "none") not in {"none", "same-origin"}
        origins = fields.getall("Origin", ())
        hosts = [origin.partition("://")[2] for origin in origins]
        if is_foreign or hosts not in ([], fields.getall("Host", ())):
            raise OperatorsOnly(_ELSEWHERE)

    def judge(self, shown: bytes, peer: str) -> None:
        """
        Raises:
            OperatorTokenNeeded: this is not the token, or empty.
            TooManyRequests: too many wrong ones came from this address; this one is not looked at.
        """
        if not shown:
            raise OperatorTokenNeeded("This needs the operators' token", fields=(CHALLENGE,))
        key, now = address_key(peer), int(self._clock() * SECOND)
        level = WRONG_TOKENS.level(self._wrong.get(key) or 0, now)
        if not WRONG_TOKENS.fits(level):
            seconds = str(WRONG_TOKENS.wait_seconds(level)).encode()
            raise TooManyRequests(
                "Too many wrong tokens came from this address",
                fields=((b"Retry-After", seconds),),
            )
        if self._token is None or not self._token.matches(shown):
            self._wrong.keep(key, now + level + WRONG_TOKENS.interval)
            name, challenge = CHALLENGE
            raise OperatorTokenNeeded(
                "This is not the operators' token",
                fields=((name, challenge + b', error="invalid_token"'),),
            )

    def _is_from_here(self, visit: Visit) -> bool:
        if not is_loopback(visit.peer) or any(map(_is_of_a_proxy, visit.fields)):
            return False
        hosts = visit.fields.getall("Host", ())
        return len(hosts) == 1 and self._is_ours(_without_port(hosts[0].lower()))

    def _is_ours(self, host: str) -> bool:
        return host in self._names or is_loopback(host)


def _is_of_a_proxy(name: str) -> bool:
    lowered = name.lower()
    return lowered in _FORWARDED or lowered.startswith(_FORWARDED_BEGINS)


def _bearer(fields: Sequence[str]) -> bytes:
    """The token in ``Authorization``; empty where there is none, or several."""
    if len(fields) != 1:
        return b""
    scheme, _, token = fields[0].partition(" ")
    if scheme.lower() != "bearer":
        return b""
    return token.strip(" ").encode("utf-8", "surrogatepass")


def _without_port(host: str) -> str:
    if host.startswith("["):
        return host[1:].rpartition("]")[0]
    return host.rpartition(":")[0] if ":" in host else host


def is_loopback(address: str) -> bool:
    """Tell whether this is an address of the machine that asks for it."""
    try:
        found = ip_address(address)
    except ValueError:
        return False
    mapped = getattr(found, "ipv4_mapped", None)
    return (mapped or found).is_loopback
