"""Every metric of the gateway's own, as the pages have them and the documents tell them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.ops.metrics.rows_of_parts import OF_PARTS
from gateway.ops.metrics.rows_of_requests import OF_REQUESTS

if TYPE_CHECKING:
    from gateway.ops.metrics.row import Row

METRICS: tuple[Row, ...] = (*OF_REQUESTS, *OF_PARTS)
