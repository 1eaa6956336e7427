"""What a run's output means, and commands that really run."""

from __future__ import annotations

import asyncio
import json
import os
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.demo.agent import Agent, Run, ending_of, run
from gateway.demo.jobs import Jobs, StoredJob
from gateway.demo.orchestrator import JOBS_AT_ONCE, Orchestrator
from gateway.demo.sessions import ACME
from gateway.demo.tasks import Task, python
from gateway.demo.versions import Version
from tests.support.replay import until

SLEEPING = python("import time; print('begun', flush=True); time.sleep(60)")
STUBBORN = python(
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
    "print('begun', flush=True); time.sleep(60)"
)


@pytest.mark.parametrize(
    ("printed", "code", "state", "output"),
    [
        (
            '{"state":"success","data":[{"message":"Hello"}]}\n',
            0,
            "success",
            ['{"message":"Hello"}'],
        ),
        ('noise\n{"state":"success","data":["a",3,null]}', 0, "success", ["a", "3", "null"]),
        ('{"state":"failure","data":[]}\n', 1, "failure", []),
        ('{"state":"quota","data":{"left":0}}\n', 0, "quota", ['{"left":0}']),
        ('{"state":"success"}\n', 0, "success", []),
        ('{"data":["x"]}\n', 3, "success", ["x"]),
        ('{"hello":"world"}\n', 0, "success", ['{"hello":"world"}']),
        ('["o"]\n', 0, "success", ["o"]),
        ('["o"]\n', 3, "success", ["o"]),
        ('{"state":"success","data":["ñ"]}\n\n', 0, "success", ["ñ"]),
        ("line 1\nplain text\n", 0, "plain text", []),
        ("5\n", 0, "success", []),
        ("plain text\n", 2, "plain text", []),
        ("failure\n", 0, "failure", []),
        ("canceled\n", 0, "canceled", []),
        ('"hi"\n', 0, "hi", ["hi"]),
        ('{"state":"SUCCESS"}\n', 0, "SUCCESS", []),
        ('{"state":"success "}\n', 0, "success ", []),
        ('{"state":""}\n', 0, "success", []),
        ('{"state":5}\n', 0, "5", []),
        ('{"state":true}\n', 0, "true", []),
        ("", 0, "success", []),
        ("", 1, "success", []),
    ],
)
def test_agent_reads_the_last_line(printed: str, code: int, state: str, output: list[str]) -> None:
    """As measured with 4.4.3, which keeps what the script says."""
    ending = ending_of(Run(code, printed))
    assert ending is not None
    assert (ending.state, list(ending.output), ending.lifecycle) == (state, output, "finished")
    assert ending.trigger_name == ("failure" if state == "failure" else "success")
    assert ending.result["log"] == printed


@pytest.mark.parametrize(
    ("printed", "state", "lifecycle", "trigger"),
    [
        ("hello\n", "success", "finished", "success"),
        ('{"state":"ok"}\n', "success", "finished", "success"),
        ('{"state":{"a":1}}\n', "success", "finished", "success"),
        ("failure\n", "failure", "finished", "failure"),
        ('{"state":"failure","event_name":"mine"}\n', "failure", "finished", "mine"),
        ('{"event_name":"mine"}\n', "success", "finished", "mine"),
        ('{"state":"success","event_name":7}\n', "success", "finished", "success"),
    ],
)
@pytest.mark.parametrize("version", [Version.FIRST_SYNC, Version.NEWEST])
def test_later_versions_know_two_states_of_what_ended(
    version: Version, printed: str, state: str, lifecycle: str, trigger: str
) -> None:
    ending = ending_of(Run(0, printed), version)
    assert ending is not None
    assert (ending.state, ending.lifecycle, ending.trigger_name) == (state, lifecycle, trigger)
    assert ending.result["user"]["username"] == "acme-agent"


def test_newest_version_takes_a_script_at_its_word_that_it_was_canceled() -> None:
    ending = ending_of(Run(0, "canceled\n"), Version.NEWEST)
    assert ending is not None
    assert (ending.state, ending.lifecycle) == ("canceled", "terminated")


@pytest.mark.parametrize("state", ["{}", "[1]", '{"a":"b"}'])
def test_job_whose_state_cannot_be_saved_never_ends(state: str) -> None:
    assert ending_of(Run(0, f'{{"state":{state},"data":[]}}')) is None


def test_only_the_oldest_version_leaves_such_a_job_as_it_is() -> None:
    task = Task("odd", "64ac0b46c06feba9b89ad7f1", prints='{"state":{}}\n')
    found = [Orchestrator(tasks=[task], version=version).create("odd") for version in Version]
    assert [job.lifecycle for job in found] == ["ready", "finished", "finished"]


def test_agent_keeps_no_output_when_the_run_was_killed() -> None:
    ending = ending_of(Run(None, '{"state":"success","data":["x"]}', 1.5, "SIGTERM", killed=True))
    assert ending is not None
    assert ending.trigger_name == "timeout"
    assert (ending.state, ending.lifecycle, ending.output) == ("timeout", "terminated", ())
    assert "output" not in ending.result
    assert ending.result["times"] == {"seconds": 1, "nanoseconds": 500_000_000}


_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.text(st.characters(codec="utf-8")),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.just("state") | st.text(), inner)
    ),
    max_leaves=8,
)


@given(_JSON, st.text(st.characters(codec="utf-8")))
def test_agent_makes_an_ending_of_anything_printed(value: Any, noise: str) -> None:
    for printed in (json.dumps(value), noise, f'{{"state":{json.dumps(value)},"data":5}}'):
        ending = ending_of(Run(0, printed))
        if ending is not None:
            assert all(isinstance(text, str) for text in (ending.state, *ending.output))


async def test_run_gives_code_and_merged_output() -> None:
    command = python("import sys; print('out'); sys.stdout.flush(); sys.exit('error')")
    found = await run(command, {}, 30, time.monotonic)
    assert (found.code, found.log, found.killed, found.signal) == (1, "out\nerror\n", False, None)


@pytest.mark.parametrize(("command", "signal"), [(SLEEPING, "SIGTERM"), (STUBBORN, "SIGKILL")])
async def test_run_is_killed_when_its_time_is_up(command: tuple[str, ...], signal: str) -> None:
    found = await run(command, {}, 0.3, time.monotonic, terminate_seconds=0.03)
    assert (found.code, found.log, found.killed, found.signal) == (None, "begun\n", True, signal)


async def test_run_keeps_a_bounded_log() -> None:
    command = python("print('x' * 200_000)")
    found = await run(command, {}, 30, time.monotonic, log_bytes=1000)
    assert (found.code, found.log) == (0, "x" * 1000)


async def _until_ended(job: StoredJob) -> None:
    await until(lambda: job.ending is not None)


def _names(folder: Path) -> list[str]:
    return os.listdir(folder)


async def test_agent_runs_a_task_with_its_arguments_and_environment() -> None:
    code = (
        "import json, os, sys;"
        "print(json.dumps({'data': [sys.argv[1:], json.loads(os.environ['THEEYE_JOB'])['id']]}))"
    )
    task = Task("args", "64ac0b46c06feba9b89ad700", ACME, arguments=2, command=python(code))
    async with Orchestrator.serving(tasks=[task]) as orchestrator:
        job = orchestrator.create("args", "one", "ñ")
        assert job.lifecycle == "ready"
        await _until_ended(job)
    assert job.ending is not None
    assert job.ending.output == ('["one","ñ"]', job.id)
    assert (job.lifecycle, job.state, job.ending.result["code"]) == ("finished", "success", 0)


async def test_agent_fails_a_job_whose_command_cannot_be_run() -> None:
    task = Task("broken", "64ac0b46c06feba9b89ad700", command=("/nowhere/to/be/found",))
    async with Orchestrator.serving(tasks=[task]) as orchestrator:
        job = orchestrator.create("broken")
        await _until_ended(job)
    assert (job.state, job.lifecycle) == ("failure", "finished")


async def test_agent_ends_a_job_when_too_many_wait() -> None:
    jobs = Jobs(lambda: datetime.now(UTC))
    agent = Agent(jobs, str, time.monotonic, workers=0, max_queued=1)
    task = Task("hello", "64ac0b46c06feba9b89ad700", command=python("print('hello')"))
    waiting, refused = (jobs.create(task, None, ()) for _ in range(2))
    agent.take(waiting)
    agent.take(refused)
    assert (waiting.state, refused.state) == ("in_progress", "failure")


async def test_agent_runs_some_jobs_at_once_and_the_others_after_them(tmp_path: Path) -> None:
    code = "import os, sys, time; os.mkdir(sys.argv[1] + '/' + str(os.getpid())); time.sleep(60)"
    task = Task("sleeping", "64ac0b46c06feba9b89ad700", arguments=1, command=python(code))
    async with Orchestrator.serving(tasks=[task]) as orchestrator:
        jobs = [orchestrator.create("sleeping", str(tmp_path)) for _ in range(JOBS_AT_ONCE + 1)]
        await until(lambda: len(_names(tmp_path)) == JOBS_AT_ONCE)
        assert [job.lifecycle for job in jobs] == ["assigned"] * JOBS_AT_ONCE + ["ready"]


async def test_agent_does_not_run_a_job_that_was_ended_before(
    orchestrator: Orchestrator,
) -> None:
    job = orchestrator.create("hello")
    orchestrator.finish(job.id, "canceled")
    behind = orchestrator.create("teapot")
    await _until_ended(behind)
    assert job.state == "canceled"


async def test_orchestrator_leaves_no_process_nor_task_when_it_stops(tmp_path: Path) -> None:
    code = "import os, sys, time; os.mkdir(sys.argv[1] + '/' + str(os.getpid()));time.sleep(60)"
    task = Task("sleeping", "64ac0b46c06feba9b89ad700", arguments=1, command=python(code))
    before = asyncio.all_tasks()
    async with Orchestrator.serving(tasks=[task], workers=1) as orchestrator:
        job = orchestrator.create("sleeping", str(tmp_path))
        await until(lambda: bool(_names(tmp_path)))
    assert asyncio.all_tasks() == before
    assert (job.lifecycle, job.ending) == ("assigned", None)
    (pid,) = _names(tmp_path)
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid), 0)
