"""What the admin listener offers, of one process or of several."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.ops.operators.page import page_routes
from gateway.ops.operators.settings import settings_route
from gateway.ops.operators.task_dump import tasks_route
from gateway.ops.operators.vitals import vital_routes
from gateway.server.reload.route import reload_route

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gateway.ops.glances.sights import Sights
    from gateway.ops.operators.routes import OperatorRoute
    from gateway.ops.operators.vitals import Vitals
    from gateway.server.reload.reloader import Reloader


def routes_of(
    vitals: Vitals, sights: Sights, reloader: Reloader, verbs: Sequence[OperatorRoute]
) -> list[OperatorRoute]:
    """``verbs`` are what only the process around can do."""
    return [
        *vital_routes(vitals),
        *page_routes(sights),
        settings_route(lambda: reloader.settings),
        tasks_route(vitals),
        reload_route(reloader.reload),
        *verbs,
    ]
