"""Other settings, taken by all workers or by none."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, cast

import msgspec
import pytest

from gateway.config.effective import Effective, SettingsError
from gateway.server.supervision.workers import Workers
from gateway.server.workers.certificates import BLANKS
from gateway.server.workers.channel import Question, Refusal
from tests.support.harness import settings

if TYPE_CHECKING:
    from pathlib import Path

    from gateway.server.supervision.supervisor import Supervisor
    from gateway.server.workers.certificates import BLANKS
from gateway.server.workers.channel import WorkerSettings


class Asked:
    """A worker that answers so when it is to prepare for other settings; None: not at all, or it
    has ended."""

    def __init__(self, answer: Refusal | None, *, has_ended: bool = False) -> None:
        self.answer = answer
        self.has_ended = has_ended
        self.asked: list[Question] = []

    async def ask(
        self,
        question: Question,
        seconds: float,
        settings: WorkerSettings | None = None,
    ) -> msgspec.Raw | None:
        assert settings is not None
        self.asked.append(question)
        if self.answer is None:
            await asyncio.sleep(0 if self.has_ended else seconds)
            return None
        return msgspec.Raw(msgspec.json.encode(self.answer))


class Supervised:
    def __init__(self, *answers: Refusal | None) -> None:
        self.running = {number: Asked(answer) for number, answer in enumerate(answers, start=1)}


def supervising(supervised: Supervised) -> Workers:
    workers = Workers(Effective(settings("http://127.0.0.1:9")), len(supervised.running))
    workers.supervisor = cast("Supervisor", supervised)
    return workers


async def test_other_settings_are_taken_by_all_workers_once_all_can() -> None:
    supervised = Supervised(Refusal(), Refusal())
    workers = supervising(supervised)
    other = settings("http://127.0.0.1:9", limits={"holds": 7})
    await workers.take(other)
    assert workers.config == other
    for worker in supervised.running.values():
        assert worker.asked == [Question.PREPARE, Question.TAKE]


async def test_it_is_told_once_that_workers_have_no_more_certificates_in_common(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    workers = supervising(Supervised(Refusal()))
    told = []
    for number in range(1, BLANKS + 3):
        cert = tmp_path / f"{number}.pem"
        cert.touch()
        await workers.take(settings("http://127.0.0.1:9", listen={"tls_cert_file": str(cert)}))
        told.append(len(caplog.messages))
    assert told == [0] * (BLANKS - 1) + [1] * 3
    assert "TLS session" in caplog.text


@pytest.mark.virtual_time
async def test_end_of_a_worker_that_is_asked_is_over_in_a_moment() -> None:
    supervised = Supervised(Refusal(), None)
    supervised.running[2] = Asked(None, has_ended=True)
    workers = supervising(supervised)
    with pytest.raises(SettingsError) as refused:
        await workers.take(settings("http://127.0.0.1:9", limits={"holds": 7}))
    assert refused.value.may_pass


@pytest.mark.virtual_time
@pytest.mark.parametrize(
    ("answer", "said", "may_pass"),
    [
        (Refusal(["no key"]), "no key", False),
        (Refusal(["mixed"], may_pass=True), "mixed", True),
        (None, "worker 2 does not answer", False),
    ],
)
async def test_settings_that_one_worker_cannot_use_are_taken_by_none(
    answer: Refusal | None, said: str, may_pass: bool
) -> None:
    supervised = Supervised(Refusal(), answer)
    workers = supervising(supervised)
    before = workers.config
    with pytest.raises(SettingsError) as refused:
        await workers.take(settings("http://127.0.0.1:9", limits={"holds": 7}))
    assert (refused.value.problems, refused.value.may_pass) == ([said], may_pass)
    assert workers.config is before
    for worker in supervised.running.values():
        assert worker.asked == [Question.PREPARE]
