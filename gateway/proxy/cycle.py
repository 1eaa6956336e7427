"""One request's cycle on its client's connection, from its head to the end of its response.

Most requests wait for nothing but the upstream's response, which mostly comes whole. Those never
have a task: callbacks send them and write the response, and the connection goes on. All others go
on in the connection's task, be it from the beginning or from where callbacks could do no more.

    ADMITTING --sent--> SENT --all of the response--> WHOLE --taken--+
        |                |                                           |
        |                +--a part of it, or a failure--> HEAD       +--> OVER
        |                                                  |         |
        +---------------------- run -----------------------+--> STREAMING

A client that leaves, and a failure, lead from each of them to OVER.
"""

from __future__ import annotations

import asyncio
import logging
from enum import IntEnum
from typing import TYPE_CHECKING, Final

from gateway.downstream.exchange import Outcome
from gateway.errors import ClientGone, ContentCut, GatewayError
from gateway.proxy.refusals import response_to

if TYPE_CHECKING:
    from collections.abc import Callable

    from gateway.downstream.request import Client
    from gateway.downstream.terms import Accept
    from gateway.proxy.pipeline import Pipeline
    from gateway.tracing.tracer import Tracer
    from gateway.upstream import UpstreamExchange

CONTENT_CUT = "ContentCut"
"""The reason where a response that had begun broke off."""
_log = logging.getLogger(__name__)


class CycleState(IntEnum):
    """The stages of a request's way, as in the picture."""

    ADMITTING = 0
    """Nothing has gone upstream by callbacks: it is judged, or waits for the task."""
    SENT = 1
    """The upstream has it; a callback is told when something of the response has come."""
    HEAD = 2
    """Something has come that is not a whole response: the task is to go on with it."""
    WHOLE = 3
    """All of the response was written by a callback; the client may still have to take it."""
    STREAMING = 4
    """The task does all that is left."""
    OVER = 5


_ADMITTING: Final = CycleState.ADMITTING
_SENT: Final = CycleState.SENT
_HEAD: Final = CycleState.HEAD
_WHOLE: Final = CycleState.WHOLE
_STREAMING: Final = CycleState.STREAMING
_OVER: Final = CycleState.OVER
FOLLOWERS: Final = {
    _ADMITTING: frozenset({_SENT, _STREAMING, _OVER}),
    _SENT: frozenset({_HEAD, _WHOLE, _OVER}),
    _HEAD: frozenset({_STREAMING, _OVER}),
    _WHOLE: frozenset({_OVER}),
    _STREAMING: frozenset({_OVER}),
    _OVER: frozenset[CycleState](),
}
"""The states that may come after each."""


class Cycle:
    """Drives one request to its response. Call ``begin_at_once``; if it returns False, await
    ``run`` in the connection's task. Where neither is under way, ``abandon`` ends it.

    ``refusal``: why the request cannot be passed on; ``limit``: what its connection is over.
    """

    __slots__ = ("_forwarded", "_on_progress", "_pipeline", "_refusal", "exchange", "state")

    def __init__(
        self,
        pipeline: Pipeline,
        client: Client,
        refusal: GatewayError | None = None,
        limit: str = "",
    ) -> None:
        self._pipeline = pipeline
        self._refusal = refusal
        self._forwarded: UpstreamExchange | None = None
        self._on_progress: Callable[[bool], None] | None = None
        self.exchange = pipeline.begin(client, limit)
        self.state = _ADMITTING
        if refusal is not None:
            client.close_after_response()

    def begin_at_once(self, on_progress: Callable[[bool], None]) -> bool:
        """Send the request upstream if nothing has to be awaited for that; else return False.

        ``on_progress`` is called once, with True if the cycle is over then; with False ``run`` must
        be awaited after all.
        """
        if self._refusal is not None:
            return False
        exchange, pipeline = self.exchange, self._pipeline
        try:
            pipeline.admit(exchange)
            if not pipeline.is_plain(exchange):
                return False
            forwarded = self._forwarded = pipeline.relay.forwarded(exchange)
        except Exception as failure:
            self._refusal = self._presentable(failure)
            return False
        self._on_progress = on_progress
        if not forwarded.begin_at_once(self._on_arrival):
            # No kept connection is free.
            return False
        self._enter(_SENT)
        return True

    def abandon(self) -> None:
        """Give up: the client is gone, and ``run`` was not called."""
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
            if self.state is _WHOLE:
                await self.exchange.client.drain()
            else:
                self._enter(_STREAMING)
                await self._respond()
        except BaseException as failure:
            self._broke_off(failure)
            if isinstance(failure, asyncio.CancelledError):
                raise
        finally:
            self._end()

    def _enter(self, state: CycleState) -> None:
        assert state in FOLLOWERS[self.state], (self.state, state)
        self.state = state

    def _on_arrival(self) -> None:
        forwarded, on_progress = self._forwarded, self._on_progress
        assert forwarded is not None
        assert on_progress is not None
        try:
            is_passed = self._pipeline.relay.pass_whole(self.exchange, forwarded)
        except Exception as failure:
            forwarded.abandon()
            self._broke_off(failure)
            self._end()
        else:
            if is_passed:
                self._enter(_WHOLE)
                if self.exchange.client.is_full:
                    forwarded.pause()
                else:
                    self._end()
            else:
                self._enter(_HEAD)
                forwarded.pause()
        on_progress(self.state is _OVER)

    async def _respond(self) -> None:
        exchange = self.exchange
        client = exchange.client
        try:
            if self._refusal is not None:
                raise self._refusal
            response = await self._pipeline.respond(exchange, self._forwarded)
        except ContentCut:
            raise
        except Exception as failure:
            response = response_to(exchange, self._presentable(failure))
        if response is not None:
            if client.started:
                raise ContentCut("the request failed after its response had begun")
            exchange.status = response.status
            await client.send(response)

    def _presentable(self, failure: Exception) -> GatewayError:
        """The failure as the client may know it; what is not meant for it is logged."""
        if isinstance(failure, GatewayError):
            return failure
        _log.error("request %s failed", self.exchange.request_id, exc_info=failure)
        return GatewayError()

    def _broke_off(self, failure: BaseException) -> None:
        """The response is missing or incomplete: record the outcome and reset the connection, so
        that no client mistakes it for complete."""
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
            _log.warning("request %s: response cut: %s", exchange.request_id, failure)
        else:
            exchange.reason = exchange.reason or GatewayError.code
            _log.error("request %s: response failed", exchange.request_id, exc_info=failure)
        client.cut()

    def _end(self) -> None:
        self._enter(_OVER)
        self._pipeline.over(self.exchange)


def cycles_on(pipeline: Pipeline) -> Accept:
    """A function that begins a cycle with a request whose head has come."""

    # In half the instructions of a partial, for it is compiled.
    def accept(client: Client, refusal: GatewayError | None, limit: str) -> Cycle:
        return Cycle(pipeline, client, refusal, limit)

    return accept


def traced_cycles_on(pipeline: Pipeline, tracer: Tracer) -> Accept:
    """The same; those that the tracer takes are traced."""

    def accept(client: Client, refusal: GatewayError | None, limit: str) -> Cycle:
        cycle = Cycle(pipeline, client, refusal, limit)
        cycle.exchange.trace = tracer.begin(client.fields, client.names, client.address)
        return cycle

    return accept
