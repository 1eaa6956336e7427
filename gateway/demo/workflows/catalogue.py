"""The workflows the demo starts with."""

from __future__ import annotations

from gateway.demo.sessions import ACME, GLOBEX, Organization
from gateway.demo.tasks import Task, TaskKind, python
from gateway.demo.workflows.workflow import Step, Workflow

_USER_ID = "64b000000000000000000002"
"""Of acme-user."""

_GATHER = """
import json, time
time.sleep(0.2)
print(json.dumps({"state": "success", "data": [json.dumps([3, 1, 2])]}))
"""
_SORT = """
import json, sys, time
time.sleep(0.2)
print(json.dumps({"state": "success", "data": [json.dumps(sorted(json.loads(sys.argv[1])))]}))
"""
_REPORT = """
import json, sys, time
time.sleep(0.2)
report = {"message": "The report is made.", "numbers": json.loads(sys.argv[1])}
print(json.dumps({"state": "success", "data": [report]}))
"""

_gather = Task("gather", "64ac0b46c06feba9b89ad7a0", command=python(_GATHER))
_sort = Task("sort", "64ac0b46c06feba9b89ad7a1", arguments=1, command=python(_SORT))
_report = Task("report", "64ac0b46c06feba9b89ad7a2", arguments=1, command=python(_REPORT))
_approve = Task(
    "approve",
    "64ac0b46c06feba9b89ad7a3",
    arguments=1,
    kind=TaskKind.APPROVAL,
    approvers=(_USER_ID,),
)


def _held(name: str, number: int, organization: Organization = ACME) -> Task:
    """A task whose jobs end only when told to."""
    return Task(name, f"64ac0b46c06feba9b89ad7{number:02x}", organization)


_first, _second = _held("held-first", 0xB0), _held("held-second", 0xB1)
_foreign = _held("globex-held-first", 0xB2, GLOBEX)

WORKFLOWS = (
    Workflow(
        "report",
        "64af0b46c06feba9b89ad7a0",
        _gather,
        (Step(_gather, "success", _sort), Step(_sort, "success", _report)),
    ),
    Workflow(
        "approved-report",
        "64af0b46c06feba9b89ad7a1",
        _gather,
        (Step(_gather, "success", _approve), Step(_approve, "success", _report)),
    ),
    Workflow(
        "held-steps",
        "64af0b46c06feba9b89ad7b0",
        _first,
        (Step(_first, "success", _second),),
        kept_runs=1000,
    ),
    Workflow("globex-held-steps", "64af0b46c06feba9b89ad7b1", _foreign, organization=GLOBEX),
)
