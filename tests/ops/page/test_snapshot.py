from gateway.ops.glances.glance import CallerRow
from gateway.ops.glances.lookout import SHOWN
from gateway.ops.metrics.rows import METRICS
from gateway.ops.page import snapshot as module
from gateway.ops.page.snapshot import LinkRow, PageSnapshots, StoreRow
from tests.support.sights import Told, glance

FIGURES = {
    "gateway_results_kept": {"": 3.0},
    "gateway_results_kept_bytes": {"": 4096.0},
    "gateway_tokens_kept": {"accepted": 2.0, "rejected": 1.0},
    "gateway_redis_answering": {"": 1.0},
}


async def test_snapshot_tells_of_all_processes_that_answer_and_how_many_should() -> None:
    caller = CallerRow("aa", "", "", 1, 0)
    sights = Told({2: glance(at=7.0, seconds=3.0, callers=[caller])}, processes=2)
    shot = await PageSnapshots("1.2", sights).next()
    assert (shot.version, shot.at, shot.seconds) == ("1.2", 7.0, 3.0)
    assert (shot.processes, shot.answering, shot.is_draining) == (2, 1, False)
    assert (shot.callers, shot.point) == ([caller], None)


async def test_snapshot_of_processes_that_do_not_answer_is_one_nevertheless() -> None:
    sights = Told(processes=2)
    sights.draining.set()
    shot = await PageSnapshots("1", sights).next()
    assert (shot.answering, shot.at, shot.is_draining, shot.stores) == (0, 0.0, True, [])


async def test_second_snapshot_has_rates() -> None:
    sights = Told({1: glance(seconds=1.0)})
    snapshots = PageSnapshots("1", sights)
    await snapshots.next()
    sights.seen[1] = glance(seconds=3.0, figures={"gateway_errors_total": {"BadGateway": 4.0}})
    point = (await snapshots.next()).point
    assert point is not None
    assert point.refusals == {"BadGateway": 2.0}


async def test_stores_that_there_are_and_links_to_redis_are_told() -> None:
    sights = Told({number: glance(figures=FIGURES) for number in (1, 2)}, processes=2)
    sights.seen[2] = glance(figures={**FIGURES, "gateway_redis_answering": {"": 0.0}})
    shot = await PageSnapshots("1", sights).next()
    assert shot.stores == [
        StoreRow("Results kept", 6, 8192),
        StoreRow("Tokens remembered", 6, None),
    ]
    assert shot.links == [LinkRow("Budgets in Redis", 1, 2)]


def test_whatever_is_shown_is_looked_at_and_is_a_metric() -> None:
    stores = {metric for row in module.STORES for metric in (row.entries, row.bytes) if metric}
    assert stores | set(module.LINKS.values()) <= SHOWN
    metrics = {row.name for row in METRICS}
    assert {name.removesuffix("_bucket") for name in SHOWN} <= metrics
