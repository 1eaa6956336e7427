"""The record of one request before the limits: what they ask of it, and what they decide."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gateway.admission.identity.trials import Trial
    from gateway.admission.limits.memory_budgets import Budget, Claim
    from gateway.errors import Field, GatewayError
    from gateway.protocols.http.query import Query
    from gateway.protocols.theeye.routes import RouteKind


class Admission:
    """Begins undecided. ``address`` is the client's own, ``started`` the clock's seconds,
    ``content_length`` None where the request does not name one."""

    __slots__ = (
        "address",
        "awaited_trial",
        "claim",
        "content_bytes",
        "content_length",
        "fields",
        "has_content",
        "kind",
        "limit",
        "owed",
        "query",
        "refusal",
        "started",
        "trial",
    )

    def __init__(
        self,
        kind: RouteKind,
        query: Query,
        address: str,
        started: float,
        *,
        has_content: bool = False,
        content_length: int | None = None,
    ) -> None:
        self.kind = kind
        self.query = query
        self.address = address
        self.started = started
        self.has_content = has_content
        self.content_length = content_length
        self.fields: tuple[Field, ...] = ()
        """Those that tell the client of its budget."""
        self.content_bytes: int | None = None
        """The most content it may have; None without content, or where its length decided."""
        self.limit = ""
        """The limit that was reached last, empty if none was."""
        self.refusal: GatewayError | None = None
        """Why it may not pass; None also while that is not decided."""
        self.trial: Trial | None = None
        """Its own, where it is the first request with its token; must be ended with it."""
        self.awaited_trial: Trial | None = None
        """That of another request with its token; nothing is decided before it has ended."""
        self.claim: Claim | None = None
        """Budgets to be charged in Redis before it may pass; None if decided in memory."""
        self.owed: tuple[Budget, ...] = ()
        """Charged at its end unless it was held for 1 s or more (a free redirect hop)."""

    @property
    def is_pending(self) -> bool:
        """Tell whether something has to be awaited before it is decided."""
        return self.claim is not None or self.awaited_trial is not None
