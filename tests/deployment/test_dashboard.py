"""The dashboard: what its panels ask for exists, Prometheus can read it, and nothing overlaps."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.deployment.promql import asked, missing
from tests.support.harness import program

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parent.parent.parent
DASHBOARD: dict[str, Any] = json.loads(
    (ROOT / "config" / "grafana" / "dashboard.json").read_text("utf-8")
)
PANELS: list[dict[str, Any]] = [each for each in DASHBOARD["panels"] if each["type"] != "row"]


def filled(expression: str) -> str:
    """As Grafana sends it, all gateways chosen."""
    return expression.replace("$__rate_interval", "5m").replace("$instance", ".*")


def expressions() -> Iterator[str]:
    for panel in PANELS:
        for target in panel["targets"]:
            yield filled(target["expr"])


@pytest.mark.parametrize("panel", PANELS, ids=lambda panel: panel["title"])
def test_panel_asks_for_metrics_that_exist_and_names_its_lines_by_their_labels(
    panel: dict[str, Any],
) -> None:
    assert panel["description"]
    for target in panel["targets"]:
        expression = filled(target["expr"])
        assert not missing(expression)
        named = set(re.findall(r"{{(\w+)}}", target["legendFormat"]))
        assert named <= asked(expression).grouped


def test_prometheus_can_read_every_expression(tmp_path: Path) -> None:
    rules = [
        {"record": f"panel:expression:{number}", "expr": expression}
        for number, expression in enumerate(expressions())
    ]
    file = tmp_path / "expressions.yaml"
    file.write_text(json.dumps({"groups": [{"name": "panels", "rules": rules}]}), "utf-8")
    ran = subprocess.run(
        [program("promtool"), "check", "rules", str(file)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_panels_have_places_and_numbers_of_their_own() -> None:
    panels = DASHBOARD["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        cells = {
            (place["x"] + across, place["y"] + down)
            for across in range(place["w"])
            for down in range(place["h"])
        }
        assert not cells & taken, panel["title"]
        taken |= cells


def test_data_source_and_gateways_are_chosen_by_whoever_looks() -> None:
    variables = {each["name"]: each for each in DASHBOARD["templating"]["list"]}
    assert set(variables) == {"datasource", "instance"}
    (asked_for,) = re.findall(
        r"label_values\((\w+), instance\)", variables["instance"]["definition"]
    )
    assert not missing(asked_for)
    sources = {
        source["uid"]
        for panel in PANELS
        for source in (panel["datasource"], *(each["datasource"] for each in panel["targets"]))
    }
    assert sources == {"${datasource}"}
    assert all('instance=~"$instance"' in each["expr"] for p in PANELS for each in p["targets"])
