"""What operators are told of all workers together."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import msgspec

from gateway.ops.metrics import parts
from gateway.ops.metrics.families import single
from gateway.ops.metrics.merge import Totals
from gateway.ops.operators.health import PROBE_SECONDS, Readiness
from gateway.ops.operators.task_dump import TaskDump, own_tasks
from gateway.server.workers.channel import Question

if TYPE_CHECKING:
    from collections.abc import Iterator

    from prometheus_client.metrics_core import Metric

    from gateway.downstream.listening.tls import Certificate
    from gateway.server.supervision.supervisor import Supervisor
    from gateway.server.workers.channel import WorkerReply

ANSWER_SECONDS = 1.0
"""What a worker gets to answer in, without the time that a probe of the upstream may take."""


class WorkersVitals:
    """What operators are told of all workers together, within little more than ``PROBE_SECONDS``.

    They live while each of them answers, and are ready when one of them is.
    """

    supervisor: Supervisor

    def __init__(self) -> None:
        self.totals = Totals(self._supervised)
        self.certificate: Certificate | None = None
        """What operators are shown, if any."""

    async def liveness(self) -> str:
        answers = await self.ask(Question.LIVE)
        silent = [str(number) for number in self.supervisor.numbers if number not in answers]
        return f"no answer of worker {', '.join(silent)}" if silent else ""

    async def hung(self) -> str:
        """Which workers run and do not answer, empty if none: those that ended are replaced."""
        running = list(self.supervisor.running.items())
        answers = await self.ask(Question.LIVE)
        silent = [
            str(number)
            for number, worker in running
            if number not in answers and self.supervisor.running.get(number) is worker
        ]
        return f"no answer of worker {', '.join(silent)}" if silent else ""

    async def readiness(self) -> Readiness:
        if self.supervisor.is_leaving:
            return Readiness("draining")
        found = Readiness("no worker answers")
        async with asyncio.TaskGroup() as group:
            asked = [
                group.create_task(worker.ask(Question.READY, PROBE_SECONDS + ANSWER_SECONDS))
                for worker in self.supervisor.running.values()
            ]
            for completed in asyncio.as_completed(asked):
                response = await completed
                if response is not None:
                    found = msgspec.json.decode(response, type=Readiness)
                    if not found.reason:
                        break
            for task in asked:
                task.cancel()
        return found

    async def metrics(self, accept: str) -> tuple[bytes, str]:
        await self.ask(Question.METRICS)
        return self.totals.render(accept)

    async def tasks(self) -> dict[str, TaskDump]:
        answers = await self.ask(Question.TASKS)
        of_workers = {
            f"worker {number}": msgspec.json.decode(content, type=TaskDump)
            for number, content in sorted(answers.items())
        }
        return {"supervisor": own_tasks(), **of_workers}

    def told(self, number: int, reply: WorkerReply) -> None:
        """A worker has replied; at its end it does so unasked."""
        if reply.to is Question.METRICS:
            self.totals.update(number, msgspec.json.decode(reply.content, type=str))

    async def ask(self, question: Question) -> dict[int, msgspec.Raw]:
        """The answers of those that answered, and still run."""
        running = dict(self.supervisor.running)
        answers = await asyncio.gather(*(w.ask(question, ANSWER_SECONDS) for w in running.values()))
        return {
            number: response
            for (number, worker), response in zip(running.items(), answers, strict=True)
            if response is not None and self.supervisor.running.get(number) is worker
        }

    def _supervised(self) -> Iterator[Metric]:
        yield single("gateway_workers", len(self.supervisor.running))
        yield single("gateway_workers_replaced_total", self.supervisor.replaced)
        end = None if self.certificate is None else self.certificate.not_after
        yield from parts.of_certificates({"admin": end})
