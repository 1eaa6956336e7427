"""The gateway in front of an embedded orchestrator: calls to paste, or (``--check``) to be made."""

from __future__ import annotations

import asyncio
import shlex
import sys
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

import msgspec
from aiohttp import ClientSession, ClientTimeout

from gateway import descriptors
from gateway.config import AdminConfig, Config, ListenConfig, LogConfig, UpstreamConfig
from gateway.config.effective import Effective
from gateway.demo.orchestrator import JOBS_AT_ONCE, Orchestrator
from gateway.server.runtime import run
from gateway.server.server import Server
from gateway.server.signals import on_end

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

USER = "acme-user"
MAX_REDIRECTS = 20
SHOWN_BYTES = 300
_ANY_FREE_PORT = ("127.0.0.1", 0)
_DEFAULT = ("127.0.0.1", 6090)
_HELLO = b'{"message":"Hello world!"}'


@dataclass(frozen=True, slots=True)
class ExampleCall:
    """One documented call, and what its answers must be."""

    title: str
    name: str
    """Of the task, or of the workflow."""
    options: str
    statuses: tuple[int, ...]
    """Of all answers in turn; the second to the last but one may repeat."""
    is_right: Callable[[bytes], bool]
    """Of the last answer's content."""
    content: str = '["arg1","arg2","arg3"]'
    fields: dict[str, str] = field(default_factory=lambda: {"Content-Type": "application/json"})
    place: str = "task"
    """What the path begins with: ``task`` or ``workflows``."""

    @property
    def variable(self) -> str:
        """The shell's name for the id."""
        return "task" if self.name == "hello" else self.name

    def target(self, named_id: str) -> str:
        """Where the job is created."""
        return f"/{self.place}/{named_id}/job" + (f"?{self.options}" if self.options else "")


def _member(name: str, value: Any) -> Callable[[bytes], bool]:
    def has_it(content: bytes) -> bool:
        found = msgspec.json.decode(content)
        return isinstance(found, dict) and found.get(name) == value

    return has_it


CALLS = (
    ExampleCall(
        "Without waiting, as ever: the new job", "hello", "", (200,), _member("lifecycle", "ready")
    ),
    ExampleCall(
        "Waiting, output (the default): the output array as it is",
        "hello",
        "wait_result=true",
        (303, 200),
        lambda content: content == b'["{\\"message\\":\\"Hello world!\\"}"]',
    ),
    ExampleCall(
        "Waiting, parse: the JSON that the task printed",
        "hello",
        "wait_result=true&parse",
        (303, 200),
        lambda content: content == _HELLO,
    ),
    ExampleCall(
        "Waiting, result: output, log and exit code",
        "hello",
        "wait_result=true&result",
        (303, 200),
        _member("code", 0),
    ),
    ExampleCall(
        "Waiting, full: the whole job",
        "hello",
        "wait_result=true&full",
        (303, 200),
        _member("lifecycle", "finished"),
    ),
    ExampleCall(
        "Waiting asked for in the content",
        "hello",
        "",
        (303, 200),
        lambda content: content == b'["{\\"message\\":\\"Hello world!\\"}"]',
        content='{"wait_result":true}',
    ),
    ExampleCall(
        "The documented call: at most 6 times 10 seconds, parsed",
        "hello",
        "limit=6&timeout=10&wait_result=true&parse",
        (303, 200),
        lambda content: content == _HELLO,
    ),
    ExampleCall(
        "A job that takes longer than one request is held: redirected until it ends",
        "sleep",
        "timeout=1&wait_result=true&parse",
        (303, 303, 200),
        lambda content: content == b'{"slept":1.5}',
        content='["1.5"]',
    ),
    ExampleCall(
        "A failing task",
        "failing",
        "wait_result=true&parse",
        (303, 500),
        lambda content: content == b'{"message":"The disk is full."}',
    ),
    ExampleCall(
        "A task that sets its own status",
        "teapot",
        "wait_result=true&parse",
        (303, 418),
        _member("statusCode", 418),
    ),
    ExampleCall(
        "A workflow of three tasks: the result of the last",
        "report",
        "wait_result=true&parse",
        (303, 200),
        _member("numbers", [1, 2, 3]),
        content="[]",
        place="workflows",
    ),
)


class Demonstration:
    """Both servers, as an ``async with`` block."""

    def __init__(self, listen: tuple[str, int]) -> None:
        self._listen = listen
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            self.orchestrator = await stack.enter_async_context(Orchestrator.serving())
            host, port = self._listen
            config = Config(
                listen=ListenConfig(host=host, port=port, drain_seconds=1),
                upstream=UpstreamConfig(url=self.orchestrator.url),
                admin=AdminConfig(port=0),
                log=LogConfig(access=False),
            )
            self.server = await stack.enter_async_context(Server(Effective(config)))
            self._stack = stack.pop_all()
        return self

    async def __aexit__(self, *failure: object) -> None:
        await self._stack.aclose()

    @property
    def token(self) -> str:
        """A user's, who may run all tasks."""
        return self.orchestrator.tokens[USER]

    def target(self, call: ExampleCall) -> str:
        """Where the call's job is created."""
        return call.target(self._id_of(call))

    def variables(self) -> str:
        """What the commands name, as assignments for a shell."""
        ids = {call.variable: self._id_of(call) for call in CALLS}
        return "\n".join(f"{name}={value}" for name, value in {"token": self.token, **ids}.items())

    def _id_of(self, call: ExampleCall) -> str:
        if call.place == "workflows":
            return self.orchestrator.workflows[call.name].id
        return self.orchestrator.tasks[call.name].id

    def curl(self, call: ExampleCall) -> str:
        """The call as a command to paste, once the variables are set."""
        follow = "" if call.statuses == (200,) else "--location "
        fields = "".join(f" --header {shlex.quote(f'{k}: {v}')}" for k, v in call.fields.items())
        return (
            f'curl {follow}--include --request POST --header "Authorization: Bearer $token"{fields}'
            f" --data {shlex.quote(call.content)}"
            f' "{self.server.url}{call.target(f"${call.variable}")}"'
        )


def demo(listen: tuple[str, int] | None, check: bool, calls: Sequence[ExampleCall] = CALLS) -> int:
    """Run until Ctrl-C; or, with ``check``, make the calls on free ports. The exit status."""
    verdict: list[int] = []
    # Each client takes three: the orchestrator is here as well.
    descriptors.ask_for_most()

    async def main() -> None:
        if check:
            verdict.append(await _check(listen or _ANY_FREE_PORT, calls))
        else:
            await _show(listen or _DEFAULT)

    try:
        run(main())
    except OSError as failure:
        print(f"cannot listen: {failure}; choose another address with --listen", file=sys.stderr)
        return 1
    return verdict[0] if verdict else 0


async def _show(listen: tuple[str, int]) -> None:
    stop = asyncio.Event()
    on_end(lambda _: stop.set())
    async with Demonstration(listen) as running:
        print(f"An orchestrator of its own:  {running.orchestrator.url}")
        print(f"The gateway in front of it:  {running.server.url}")
        print(f"For operators:               {running.server.admin_url}\n")
        print(
            f"Its agent runs {JOBS_AT_ONCE} jobs at once; more of them wait until one has ended.\n"
        )
        print("Paste into another terminal, these first:\n")
        print(f"{running.variables()}\n")
        for call in CALLS:
            print(f"# {call.title}\n{running.curl(call)}\n")
        print("Ctrl-C ends it.", flush=True)
        await stop.wait()
        await running.server.drain()
    print("\nEnded.")


async def _check(listen: tuple[str, int], calls: Sequence[ExampleCall]) -> int:
    async with Demonstration(listen) as running, ClientSession(timeout=ClientTimeout(30)) as client:
        wrong = [call for call in calls if not await _make(running, client, call)]
    print(f"{len(calls) - len(wrong)} of {len(calls)} calls were answered as documented")
    for call in wrong:
        print(f"NOT as documented: {call.title}")
    return 1 if wrong else 0


async def _make(running: Demonstration, client: ClientSession, call: ExampleCall) -> bool:
    """Make a call, following redirects as clients do, and print what comes."""
    print(f"# {call.title}")
    method, target, data, fields = "POST", running.target(call), call.content, call.fields
    statuses: list[int] = []
    while True:
        print(f"> {method} {target}" + (f" {data}" if data else ""))
        async with client.request(
            method,
            running.server.url + target,
            data=data,
            headers={**fields, "Authorization": f"Bearer {running.token}"},
            allow_redirects=False,
        ) as response:
            content = await response.read()
            statuses.append(response.status)
            location = response.headers.get("Location", "")
        shown = content[:SHOWN_BYTES].decode("utf-8", "replace")
        print(f"< {response.status} {response.reason} {shown}{'…' * (len(content) > SHOWN_BYTES)}")
        if response.status != 303 or len(statuses) > MAX_REDIRECTS:
            break
        print(f"  Location: {location}")
        method, target, data, fields = "GET", location, "", {}
    is_right = _as_expected(tuple(statuses), call.statuses) and call.is_right(content)
    print("  as documented\n" if is_right else f"  NOT as documented: {call.statuses}\n")
    return is_right


def _as_expected(statuses: tuple[int, ...], expected: tuple[int, ...]) -> bool:
    """Redirects may be more where a machine is slow, never fewer; where none is meant, none."""
    redirects, wanted = statuses.count(303), expected.count(303)
    enough = redirects >= wanted if wanted else redirects == 0
    return enough and statuses[redirects:] == expected[wanted:]
