"""TheEye's messages service: tells a Redis of each job that ended, in TheEye's words."""

from __future__ import annotations

import asyncio
import logging
import uuid
from contextlib import suppress
from typing import TYPE_CHECKING

import msgspec

from gateway.demo.jobs import WorkflowJob

if TYPE_CHECKING:
    from redis.asyncio import Redis

    from gateway.demo.jobs import StoredJob

TOPIC = "job-finished"
OF_WORKFLOWS = "workflow-job-finished"
MAX_QUEUED = 20_000
"""More messages than this wait for no Redis; the newest are lost then."""
MAX_AT_ONCE = 1000
ANSWER_SECONDS = 1.0
Message = tuple[str, bytes]
"""Channel and payload."""

_logger = logging.getLogger(__name__)


def message(job: StoredJob) -> Message:
    """What is published once ``job`` has ended: neither its state nor its result."""
    organization = job.organization
    topic = OF_WORKFLOWS if isinstance(job, WorkflowJob) else TOPIC
    payload = {
        "topic": topic,
        "id": str(uuid.uuid1()),
        "data": {
            "operation": "update",
            "organization": organization.name,
            "organization_id": organization.id,
            "model_id": job.id,
            "model_type": job.type_name,
        },
    }
    return f"{organization.id}:{topic}:{job.id}", msgspec.json.encode(payload)


class Publisher:
    """Publishes in the order jobs end, soon after. What Redis does not take in time is lost."""

    def __init__(self, url: str, max_queued: int = MAX_QUEUED) -> None:
        self.is_losing = False
        """Messages are lost from now on, as they may be with TheEye; for tests to set."""
        self._url = url
        self._queue: asyncio.Queue[Message] = asyncio.Queue(max_queued)
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.get_running_loop().create_task(self._work())

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def tell(self, job: StoredJob) -> None:
        """Publish that ``job`` has ended."""
        if not self.is_losing:
            with suppress(asyncio.QueueFull):
                self._queue.put_nowait(message(job))

    async def _work(self) -> None:
        from redis.asyncio import Redis  # noqa: PLC0415 - an extra
        from redis.asyncio.retry import Retry  # noqa: PLC0415
        from redis.backoff import NoBackoff  # noqa: PLC0415
        from redis.exceptions import RedisError  # noqa: PLC0415

        async with Redis.from_url(
            self._url,
            max_connections=1,
            # Its own limits are kept with asyncio.wait_for, which may lose a cancellation (3.11).
            socket_timeout=None,
            socket_connect_timeout=None,
            # Once more, where Redis has been restarted since the last message.
            retry=Retry(NoBackoff(), 1),
        ) as client:
            while True:
                messages = [await self._queue.get()]
                while not self._queue.empty() and len(messages) < MAX_AT_ONCE:
                    messages.append(self._queue.get_nowait())
                try:
                    async with asyncio.timeout(ANSWER_SECONDS):
                        await _publish(client, messages)
                except (RedisError, OSError) as failure:
                    _logger.warning("%d messages are lost: %s", len(messages), failure)


async def _publish(client: Redis, messages: list[Message]) -> None:
    async with client.pipeline(transaction=False) as pipeline:
        for channel, payload in messages:
            pipeline.publish(channel, payload)
        await pipeline.execute()
