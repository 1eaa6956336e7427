"""Which settings of traces are refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from gateway.config import TracesConfig
from gateway.ops.traces.settings import problems

if TYPE_CHECKING:
    from pathlib import Path


def keys(traces: TracesConfig, *, has_otel: bool = True) -> list[str]:
    return [key for key, _ in problems(traces, has_otel=has_otel)]


@pytest.mark.parametrize(
    "endpoint", ["", "http://collector:4318/v1/traces", "https://otlp.example/v1/traces?x=y"]
)
def test_addresses_of_collectors_are_taken(endpoint: str) -> None:
    assert not keys(TracesConfig(endpoint=endpoint))


@pytest.mark.parametrize(
    "endpoint",
    [
        "collector:4318",
        "grpc://collector:4317",
        "http://",
        "http://a b/",
        "http://[",
        "http://user:pa55@collector/",
        "http://user@collector/",
    ],
)
def test_anything_else_is_not(endpoint: str) -> None:
    assert keys(TracesConfig(endpoint=endpoint)) == ["traces.endpoint"]


def test_traces_need_the_extra_only_where_they_are_wanted() -> None:
    assert not keys(TracesConfig(), has_otel=False)
    wanted = TracesConfig(endpoint="http://collector:4318/v1/traces")
    assert keys(wanted, has_otel=False) == ["traces.endpoint"]


def test_file_of_fields_has_to_be_usable(tmp_path: Path) -> None:
    file = tmp_path / "fields"
    file.write_text("s3cret")
    [(key, message)] = problems(TracesConfig(headers_file=str(file)), has_otel=True)
    assert key == "traces.headers_file"
    assert "s3cret" not in message
    file.write_text("Authorization: s3cret")
    assert not keys(TracesConfig(headers_file=str(file)))
