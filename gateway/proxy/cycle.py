"""One request's turn on its connection: by callbacks where nothing but the upstream's answer has to
be waited for, which is most of the traffic, and else in the connection's task.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Protocol

from gateway.downstream.exchange import Kind, Outcome
from gateway.errors import ClientGone, ContentCut, GatewayError

if TYPE_CHECKING:
    from collections.abc import Callable

    from gateway.downstream.exchange import Exchange
    from gateway.errors import Response
    from gateway.proxy.relay import Relay
    from gateway.upstream import UpstreamExchange

_RELAY = Kind.RELAY
CONTENT_CUT = "ContentCut"
"""The reason where an answer that had begun broke off."""
_log = logging.getLogger(__name__)


class Stages(Protocol):
    """What a request passes, in this order."""

    relay: Relay

    def admit(self, exchange: Exchange) -> None:
        """Note what the request is; raises GatewayError where it may not go upstream."""
        raise NotImplementedError

    async def answer(
        self, exchange: Exchange, forwarded: UpstreamExchange | None
    ) -> Response | None:
        """The answer, None where it was written already. ``forwarded`` was sent already.

        Raises:
            GatewayError: there is no answer.
            ContentCut: it broke off.
        """
        raise NotImplementedError

    def failure(self, exchange: Exchange, failure: GatewayError) -> Response:
        """What the client is told of a failure."""
        raise NotImplementedError

    def over(self, exchange: Exchange) -> None:
        """The request was answered, or cannot be any more."""
        raise NotImplementedError


class Cycle:
    """Who has it calls ``begin_at_once`` and, where that says so, awaits ``run``.

    ``refusal``: why the request is none that could be passed on.
    """

    __slots__ = ("_forwarded", "_on_progress", "_refusal", "_stages", "exchange", "is_over")

    def __init__(self, stages: Stages, exchange: Exchange, refusal: GatewayError | None) -> None:
        self._stages = stages
        self._refusal = refusal
        self._forwarded: UpstreamExchange | None = None
        self._on_progress: Callable[[Cycle], None] | None = None
        self.exchange = exchange
        self.is_over = False

    @property
    def keeps_connection(self) -> bool:
        """Whether another request may follow."""
        return self.exchange.client.keeps_connection

    def begin_at_once(self, on_progress: Callable[[Cycle], None]) -> bool:
        """Whether it goes on by itself; else ``run`` must be awaited.

        ``on_progress`` is called once: it is over then, or ``run`` must be awaited after all.
        """
        exchange = self.exchange
        if self._refusal is not None:
            return False
        try:
            self._stages.admit(exchange)
            if not _is_plain(exchange):
                return False
            forwarded = self._forwarded = self._stages.relay.forwarded(exchange)
        except Exception as failure:
            self._refusal = self._told(failure)
            return False
        self._on_progress = on_progress
        return forwarded.begin_at_once(self._on_arrival)

    def _on_arrival(self) -> None:
        forwarded, on_progress = self._forwarded, self._on_progress
        assert forwarded is not None
        assert on_progress is not None
        try:
            is_passed = self._stages.relay.pass_whole(self.exchange, forwarded)
        except Exception as failure:
            forwarded.abandon()
            self._broke_off(failure)
            self._end()
        else:
            if is_passed and not self.exchange.client.is_full:
                self._end()
            else:
                forwarded.pause()
        on_progress(self)

    def abandon(self) -> None:
        """The client is gone, and ``run`` was not called."""
        forwarded = self._forwarded
        if forwarded is not None:
            forwarded.abandon()
            self.exchange.upstream_seconds = forwarded.seconds
        self._broke_off(asyncio.CancelledError())
        self._end()

    async def run(self) -> None:
        """Do all that is left to do.

        Raises:
            CancelledError: the client is gone.
        """
        try:
            await self._answer()
        except BaseException as failure:
            self._broke_off(failure)
            if isinstance(failure, asyncio.CancelledError):
                raise
        finally:
            self._end()

    async def _answer(self) -> None:
        exchange, stages = self.exchange, self._stages
        client = exchange.client
        if client.is_finished:
            await client.drain()
            return
        try:
            if self._refusal is not None:
                raise self._refusal
            response = await stages.answer(exchange, self._forwarded)
        except ContentCut:
            raise
        except Exception as failure:
            response = stages.failure(exchange, self._told(failure))
        if response is not None:
            if client.started:
                raise ContentCut("the request failed after its answer had begun")
            exchange.status = response.status
            await client.send(response)

    def _told(self, failure: Exception) -> GatewayError:
        """The failure as the client may know it."""
        if isinstance(failure, GatewayError):
            return failure
        _log.error("request %s failed", self.exchange.request_id, exc_info=failure)
        return GatewayError()

    def _broke_off(self, failure: BaseException) -> None:
        """There is no answer, or not all of it: leave nothing that could be taken for one."""
        exchange = self.exchange
        client = exchange.client
        if isinstance(failure, asyncio.CancelledError):
            exchange.outcome = Outcome.CUT if client.is_cut else Outcome.CLIENT_CLOSED
            return
        exchange.outcome = Outcome.CUT
        if isinstance(failure, ClientGone):
            exchange.outcome = Outcome.CLIENT_CLOSED
        elif isinstance(failure, ContentCut):
            exchange.reason = exchange.reason or CONTENT_CUT
            _log.warning("request %s: answer cut: %s", exchange.request_id, failure)
        else:
            exchange.reason = exchange.reason or GatewayError.code
            _log.error("request %s: answer failed", exchange.request_id, exc_info=failure)
        client.cut()

    def _end(self) -> None:
        self.is_over = True
        self._stages.over(self.exchange)


def _is_plain(exchange: Exchange) -> bool:
    """Nothing but the upstream's answer is needed."""
    return (
        exchange.kind is _RELAY
        and exchange.route is None
        and not exchange.client.has_content
        and not exchange.awaits_keys
        and exchange.claim is None
        and exchange.awaited_trial is None
    )
