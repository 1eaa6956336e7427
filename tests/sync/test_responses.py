from __future__ import annotations

import json

from gateway.errors import NO_STORE, Response
from gateway.sync.responses import KnownJob, made_here, see_other, timed_out

CARRIED = ((b"Server", b"restify"), (b"Access-Control-Allow-Origin", b"*"))
JSON = (b"Content-Type", b"application/json")


def test_client_is_sent_on_with_an_empty_object() -> None:
    location = (b"Location", b"/job/1/result?counter=1")
    assert see_other("/job/1/result?counter=1", CARRIED) == Response(
        303, b"{}", (*CARRIED, location, JSON, NO_STORE)
    )


def test_client_is_told_of_the_job_that_has_not_ended() -> None:
    response = timed_out(408, KnownJob("1", "assigned", None), ())
    assert (response.status, response.fields) == (408, (JSON, NO_STORE))
    assert json.loads(response.content) == {
        "statusCode": 408,
        "message": "Request Timeout",
        "job": {"id": "1", "lifecycle": "assigned", "state": None},
    }


def test_server_that_a_task_names_stands_alone() -> None:
    chosen = (b"SERVER", b"task")
    response = made_here(Response(207, b"x", (chosen,)), CARRIED)
    assert response == Response(207, b"x", (CARRIED[1], chosen, NO_STORE))
