"""What can be run: the task record and the catalogue the demo starts with."""

from __future__ import annotations

import hashlib
import sys
from dataclasses import dataclass, field
from enum import StrEnum

from gateway.demo.sessions import ACME, GLOBEX, Organization

KEPT_JOBS = 5
"""So many jobs of a task survive, unless it says otherwise."""

_MANY = 1000


class TaskKind(StrEnum):
    SCRIPT = "script"
    """Run by an agent."""
    DUMMY = "dummy"
    """Ends at once with its arguments for output."""
    APPROVAL = "approval"
    """Ends when one of its approvers approves or rejects it."""


@dataclass(frozen=True, slots=True)
class Task:
    """Something to run. Without ``command`` and ``prints`` its jobs end only when told to."""

    name: str
    id: str
    organization: Organization = ACME
    arguments: int = 0
    """How many a caller has to give; more are dropped."""
    command: tuple[str, ...] = ()
    """Run in a subprocess, the arguments appended."""
    prints: str | None = None
    """Ends as if a command had printed this, after ``seconds``."""
    seconds: float = 0.0
    """At once where 0: before its creation is answered."""
    access_list: tuple[str, ...] = ("user", "viewer")
    timeout_seconds: float = 600.0
    kept_jobs: int = KEPT_JOBS
    kind: TaskKind = TaskKind.SCRIPT
    approvers: tuple[str, ...] = ()
    """The ids of the users who may approve."""
    has_user_inputs: bool = False
    """In a workflow its jobs are on hold until a person gives their arguments."""
    has_script: bool = True
    """Without its script, its jobs in a workflow end with an error when they are created."""
    is_cancellable: bool = True
    """Else only by those who may use all tasks."""
    secret: str = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "secret", hashlib.sha256(self.id.encode()).hexdigest())

    @property
    def type_name(self) -> str:
        """TheEye's name of what it is: ``ScriptTask``."""
        return f"{self.kind.capitalize()}Task"


def python(code: str) -> tuple[str, ...]:
    """A command that runs ``code`` with as little of Python's start-up as possible."""
    return (sys.executable, "-I", "-S", "-X", "utf8", "-c", code)


_HELLO = """
import time
time.sleep(0.3)
print('{"state":"success","data":[{"message":"Hello world!"}]}')
"""
_SLOW = """
import time
time.sleep(15)
print('{"state":"success","data":[{"message":"It took its time."}]}')
"""
_SLEEP = """
import json, sys, time
seconds = float(sys.argv[1])
time.sleep(seconds)
print(json.dumps({"state": "success", "data": [{"slept": seconds}]}))
"""
_FAILING = """
import sys
print("doing something that does not work")
print('{"state":"failure","data":[{"message":"The disk is full."}]}')
sys.exit(1)
"""
_TEAPOT = """
print('{"state":"success","data":[{"statusCode":418,"message":"I am a teapot."}]}')
"""
_PLAIN = """
print("a first line")
print("plain text, no JSON")
"""
_ECHO = """
import json, sys
print(json.dumps({"state": "success", "data": sys.argv[1:]}, ensure_ascii=False))
"""

CATALOGUE = (
    Task("hello", "64ac0b46c06feba9b89ad795", command=python(_HELLO)),
    Task("slow", "64ac0b46c06feba9b89ad796", command=python(_SLOW)),
    Task("sleep", "64ac0b46c06feba9b89ad797", arguments=1, command=python(_SLEEP)),
    Task("failing", "64ac0b46c06feba9b89ad798", command=python(_FAILING)),
    Task("teapot", "64ac0b46c06feba9b89ad799", command=python(_TEAPOT)),
    Task("plain", "64ac0b46c06feba9b89ad79a", command=python(_PLAIN)),
    Task("echo", "64ac0b46c06feba9b89ad79b", arguments=3, command=python(_ECHO)),
    Task(
        "instant",
        "64ac0b46c06feba9b89ad79c",
        prints='{"state":"success","data":[{"message":"Hello world!"}]}\n',
        kept_jobs=_MANY,
    ),
    Task("held", "64ac0b46c06feba9b89ad79d", kept_jobs=_MANY),
    Task("globex-held", "64ac0b46c06feba9b89ad79e", organization=GLOBEX, kept_jobs=_MANY),
)
