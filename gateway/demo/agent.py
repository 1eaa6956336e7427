"""TheEye's agent: runs a task's command in a subprocess and reads what it printed."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec

from gateway.demo.arguments import argv_of
from gateway.demo.delays import Delays
from gateway.demo.jobs import Ending, Jobs, StoredJob, strings
from gateway.demo.tasks import TaskKind
from gateway.demo.versions import Version
from gateway.demo.views import environment

LOG_BYTES = 1024 * 1024
"""So much of what a command prints is kept; the rest is read and dropped."""
MAX_QUEUED = 10_000
TERMINATE_SECONDS = 1.0
_USER = {"email": "acme-agent@acme.test", "id": "64b000000000000000000005"}
_NAMED_USER = {
    "email": "acme-agent@acme.test",
    "username": "acme-agent",
    "id": "64b000000000000000000005",
}

_FALSY = (None, False, 0, "")
"""To JavaScript, to which an empty object or array is true."""

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Run:
    """One run of a command."""

    code: int | None
    log: str
    seconds: float = 0.0
    signal: str | None = None
    killed: bool = False
    """Whether it was killed because its time was up."""


def ending_of(run: Run, version: Version = Version.ASYNC_ONLY) -> Ending | None:
    """What a run means to TheEye, whatever its exit code; None where the script says a state that
    4.4.3 cannot save, and the job never ends."""
    if run.killed:
        return Ending("timeout", (), result_of(run, version), "terminated")
    state, value, event = _said(_last_line(run))
    if isinstance(state, dict | list) and version.keeps_any_state:
        return None
    (text,) = strings([state])
    lifecycle = "finished"
    if not version.keeps_any_state:
        if text == "canceled" and version is Version.NEWEST:
            lifecycle = "terminated"
        elif text != "failure":
            text = "success"
    # Nobody cut it short, also where it says "canceled".
    trigger = text if text == "failure" or lifecycle == "terminated" else "success"
    said = {} if value is None else {"output": value}
    output = () if value is None else strings(value if isinstance(value, list) else [value])
    return Ending(text, output, result_of(run, version, **said), lifecycle, event or trigger)


def result_of(run: Run, version: Version = Version.ASYNC_ONLY, **output: Any) -> dict[str, Any]:
    """A job's ``result`` after a run, with its ``output`` where it has any."""
    return {
        "code": run.code,
        "log": run.log,
        "lastline": _last_line(run),
        "signal": run.signal,
        "killed": run.killed,
        "times": _times(run.seconds),
        **output,
        "user": _USER if version is Version.ASYNC_ONLY else _NAMED_USER,
    }


def not_run(reason: str) -> Ending:
    """The ending of a job whose command could not be started at all."""
    return Ending("failure", (), {"lastline": reason, "log": f"Error: {reason}", "user": _USER})


async def run(
    argv: tuple[str, ...],
    env: dict[str, str],
    timeout_seconds: float,
    clock: Callable[[], float],
    *,
    terminate_seconds: float = TERMINATE_SECONDS,
    log_bytes: int = LOG_BYTES,
) -> Run:
    """Runs a command to its end, or kills it when its time is up. ``terminate_seconds`` is what it
    gets to end by itself then; so much of what it prints is kept as ``log_bytes`` says."""
    started = clock()
    process = await asyncio.create_subprocess_exec(
        *argv,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env=env,
    )
    log = bytearray()
    killed = False
    try:
        async with asyncio.timeout(timeout_seconds):
            await _read(process, log, log_bytes)
    except TimeoutError:
        killed = True
        process.terminate()
        await _wait_or_kill(process, terminate_seconds)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    code = process.returncode
    died = code is not None and code < 0
    return Run(
        None if died else code,
        log.decode(errors="replace"),
        clock() - started,
        signal.Signals(-code).name if died and code else None,
        killed,
    )


class Agent:
    """Runs the jobs it is given, a few at a time, in the order they come."""

    def __init__(
        self,
        jobs: Jobs,
        api_url: Callable[[], str],
        clock: Callable[[], float],
        workers: int,
        *,
        version: Version = Version.ASYNC_ONLY,
        max_queued: int = MAX_QUEUED,
    ) -> None:
        self._jobs = jobs
        self._api_url = api_url
        self._clock = clock
        self._workers = workers
        self._version = version
        self._delays = Delays()
        self._queue: asyncio.Queue[StoredJob] = asyncio.Queue(max_queued)
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        loop = asyncio.get_running_loop()
        self._tasks = [loop.create_task(self._work()) for _ in range(self._workers)]

    async def stop(self) -> None:
        """Kills what runs."""
        self._delays.stop()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def take(self, job: StoredJob) -> None:
        """Runs a job, now or when others have ended; one that only ends when told is left alone,
        and so is one that is not ready."""
        task = job.task
        if job.lifecycle != "ready":
            return
        if task.kind is TaskKind.DUMMY:
            given = list(job.arguments)
            self._jobs.end(job, Ending("success", strings(given), {"output": given}))
        elif task.prints is not None:
            self._print(job, Run(0, task.prints, task.seconds))
        elif task.command:
            try:
                self._queue.put_nowait(job)
            except asyncio.QueueFull:
                self._jobs.end(job, not_run("too many jobs are waiting"))

    def _print(self, job: StoredJob, run: Run) -> None:
        """Ends a job after the time of its run, of which there may be any number at once."""
        ending = ending_of(run, self._version)
        if not run.seconds:
            self._end(job, ending)
            return
        self._jobs.assign(job)
        self._delays.after(run.seconds, lambda: self._end(job, ending))

    async def _work(self) -> None:
        while True:
            job = await self._queue.get()
            if job.ending is None:
                self._jobs.assign(job)
                self._end(job, await self._ending(job))

    def _end(self, job: StoredJob, ending: Ending | None) -> None:
        if ending is not None:
            self._jobs.end(job, ending)

    async def _ending(self, job: StoredJob) -> Ending | None:
        task = job.task
        argv = (*task.command, *argv_of(job.arguments))
        try:
            env = environment(job, self._api_url())
            made = await run(argv, env, task.timeout_seconds, self._clock)
            return ending_of(made, self._version)
        except (OSError, ValueError) as error:
            _logger.warning("task %s could not be run: %s", task.name, error)
            return not_run(str(error))


def _said(line: str) -> tuple[Any, Any, str]:
    """The state, the output and the event that a last line says: ``{"state", "data",
    "event_name"}``, any other JSON, or plain text, which is the state itself."""
    try:
        value = msgspec.json.decode(line)
    except (msgspec.DecodeError, UnicodeEncodeError):
        return line or "success", None, ""
    match value:
        case str():
            return value or "success", value, ""
        case dict() if "state" in value or "data" in value:
            state = value.get("state")
            return "success" if state in _FALSY else state, value.get("data"), _event(value)
        case dict():
            return "success", value, _event(value)
        case list():
            return "success", value, ""
    return "success", None, ""


def _event(said: dict[str, Any]) -> str:
    event = said.get("event_name")
    return event if isinstance(event, str) else ""


def _last_line(run: Run) -> str:
    return run.log.rstrip("\n").rpartition("\n")[2]


def _times(seconds: float) -> dict[str, int]:
    whole, rest = divmod(seconds, 1)
    return {"seconds": int(whole), "nanoseconds": int(rest * 1_000_000_000)}


async def _read(process: asyncio.subprocess.Process, log: bytearray, log_bytes: int) -> None:
    while process.stdout and (chunk := await process.stdout.read(64 * 1024)):
        log += chunk[: log_bytes - len(log)]
    await process.wait()


async def _wait_or_kill(process: asyncio.subprocess.Process, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()
