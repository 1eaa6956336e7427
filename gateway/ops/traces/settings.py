"""What makes settings of traces unusable."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.config.addresses import has_user, http_url
from gateway.ops.traces.collector_fields import UnusableFields, collector_fields

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gateway.config import TracesConfig


def problems(traces: TracesConfig, *, has_otel: bool) -> Iterator[tuple[str, str]]:
    """The keys of wrong settings, and what is wrong with each. ``has_otel``: the extra is there."""
    if traces.endpoint and not has_otel:
        yield (
            "traces.endpoint",
            'traces.endpoint needs the extra "otel":'
            " pip install opentelemetry-sdk opentelemetry-exporter-otlp-proto-http",
        )
    elif traces.endpoint and not _is_address(traces.endpoint):
        yield (
            "traces.endpoint",
            "traces.endpoint must be the whole address, without user, such as"
            " http://collector:4318/v1/traces",
        )
    if traces.headers_file:
        try:
            collector_fields(traces.headers_file)
        except UnusableFields as failure:
            yield (
                "traces.headers_file",
                f'traces.headers_file "{traces.headers_file}": {failure}',
            )


def _is_address(text: str) -> bool:
    url = http_url(text)
    return url is not None and not has_user(url)
