"""The alerts: their names are those of metrics that exist, and they fire when they should."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from gateway.config import Config
from gateway.ops.metrics.rows import METRICS
from tests.deployment.promql import missing
from tests.support.harness import program

if TYPE_CHECKING:
    from collections.abc import Mapping

ROOT = Path(__file__).parent.parent.parent
FILE = ROOT / "config" / "prometheus" / "rules.yaml"
GROUPS: list[dict[str, Any]] = yaml.safe_load(FILE.read_text("utf-8"))["groups"]
RULES: dict[str, dict[str, Any]] = {
    rule["alert"]: rule for group in GROUPS for rule in group["rules"]
}
TARGET = {"job": "gateway", "instance": "a:6091"}
UP = {"gateway_build_info": "1x120"}
"""A series: what it counts, minute by minute, in promtool's words."""
SOUND: Mapping[str, str] = {
    **UP,
    'gateway_upstream_requests_total{purpose="relay",status="2xx"}': "0+600x120",
    'gateway_upstream_requests_total{purpose="read",status="failed"}': "0+1x120",
    'gateway_upstream_seconds_bucket{purpose="read",le="0.1"}': "0+600x120",
    'gateway_upstream_seconds_bucket{purpose="read",le="+Inf"}': "0+600x120",
    'gateway_upstream_connections{state="queued"}': "0x120",
    'gateway_upstream_connections{state="busy"}': "90x120",
    'gateway_errors_total{reason="Overloaded"}': "0x120",
    'gateway_errors_total{reason="NotFound"}': "0+60x120",
    "gateway_waits_in_flight": "1000x120",
    'gateway_waits_total{verdict="ended"}': "0+600x120",
    'gateway_waits_total{verdict="time_up"}': "0+600x120",
    'gateway_notice_seconds_bucket{way="poll",le="1.0"}': "0+600x120",
    'gateway_notice_seconds_bucket{way="poll",le="+Inf"}': "0+600x120",
    'gateway_certificate_not_after_seconds{listener="client"}': "7776000x120",
    'gateway_identity_keys_age_seconds{source="jwks"}': "290x120",
    'gateway_identity_keys_age_seconds{source="file"}': "9000000x120",
    "gateway_reload_succeeded": "1x120",
    'process_open_fds{worker="1"}': "700x120",
    'process_max_fds{worker="1"}': "1000x120",
    'gateway_connections_refused_total{reason="descriptors"}': "0x120",
    'gateway_connections_refused_total{reason="connections_per_address"}': "0+60x120",
    "gateway_buffered_bytes": "1000000x120",
    "gateway_workers": "2x120",
    "gateway_redis_answering": "2x120",
    "gateway_push_connected": "2x120",
    "gateway_push_missing_total": "0+1x120",
    "gateway_workers_replaced_total": "1x120",
    'gateway_limit_verdicts_total{limit="create",verdict="admitted"}': "0+600x120",
    'gateway_limit_verdicts_total{limit="create",verdict="refused"}': "0+6x120",
    "gateway_access_log_lines_dropped_total": "3x120",
}
TROUBLES: list[tuple[str, Mapping[str, str], dict[str, str]]] = [
    ("GatewayAbsent", {"gateway_build_info": "_x120"}, {}),
    (
        "GatewayUpstreamFailing",
        {'gateway_upstream_requests_total{purpose="relay",status="5xx"}': "0+60x120"},
        {},
    ),
    (
        "GatewayUpstreamFailing",
        {
            'gateway_upstream_requests_total{purpose="relay",status="2xx"}': "0x120",
            'gateway_upstream_requests_total{purpose="probe",status="failed"}': "0+30x120",
        },
        {},
    ),
    (
        "GatewayUpstreamSlow",
        {
            'gateway_upstream_seconds_bucket{purpose="read",le="0.1"}': "0+500x120",
            'gateway_upstream_seconds_bucket{purpose="read",le="2.5"}': "0+500x120",
            'gateway_upstream_seconds_bucket{purpose="read",le="5.0"}': "0+600x120",
        },
        {},
    ),
    (
        "GatewayUpstreamQueue",
        {'gateway_upstream_connections{state="queued"}': "3x120"},
        {"state": "queued"},
    ),
    (
        "GatewayInternalErrors",
        {'gateway_errors_total{reason="Internal"}': "0x55 1x60"},
        {"reason": "Internal"},
    ),
    ("GatewayOverloaded", {'gateway_errors_total{reason="Overloaded"}': "0+30x120"}, {}),
    ("GatewayOverloaded", {'gateway_errors_total{reason="MemoryFull"}': "0+30x120"}, {}),
    ("GatewayWaitsNearLimit", {"gateway_waits_in_flight": "9000x120"}, {}),
    ("GatewayWaitsInVain", {'gateway_waits_total{verdict="ended"}': "0+1x120"}, {}),
    (
        "GatewayNoticesLate",
        {
            'gateway_notice_seconds_bucket{way="poll",le="1.0"}': "0+500x120",
            'gateway_notice_seconds_bucket{way="poll",le="10.0"}': "0+500x120",
            'gateway_notice_seconds_bucket{way="poll",le="30.0"}': "0+600x120",
        },
        {"way": "poll"},
    ),
    (
        "GatewayCertificateEnds",
        {'gateway_certificate_not_after_seconds{listener="client"}': "1728000x120"},
        {"listener": "client"},
    ),
    (
        "GatewayCertificateEndsSoon",
        {'gateway_certificate_not_after_seconds{listener="client"}': "86400x120"},
        {"listener": "client"},
    ),
    (
        "GatewayKeysOld",
        {'gateway_identity_keys_age_seconds{source="jwks"}': "2000x120"},
        {"source": "jwks"},
    ),
    ("GatewayReloadFailed", {"gateway_reload_succeeded": "1x40 0x80"}, {}),
    ("GatewayDescriptorsShort", {'process_open_fds{worker="1"}': "900x120"}, {"worker": "1"}),
    (
        "GatewayConnectionsRefused",
        {'gateway_connections_refused_total{reason="descriptors"}': "0x57 2x60"},
        {"reason": "descriptors"},
    ),
    ("GatewayBuffersNearLimit", {"gateway_buffered_bytes": "120000000x120"}, {}),
    (
        "GatewayRedisGone",
        {"gateway_redis_answering": "1x120", "gateway_push_connected": "1x120"},
        {},
    ),
    (
        "GatewayRedisGone",
        {
            "gateway_workers": "_x120",
            "gateway_redis_answering": "0x120",
            "gateway_push_connected": "0x120",
        },
        {},
    ),
    ("GatewayPushGone", {"gateway_push_connected": "1x120"}, {}),
    ("GatewayPushMissing", {"gateway_push_missing_total": "0+6x120"}, {}),
    ("GatewayWorkersDie", {"gateway_workers_replaced_total": "0+1x120"}, {}),
    (
        "GatewayIdempotencyUnknown",
        {'gateway_errors_total{reason="IdempotencyUnknown"}': "0x55 1x60"},
        {"reason": "IdempotencyUnknown"},
    ),
    (
        "GatewayLimitsRefuse",
        {'gateway_limit_verdicts_total{limit="create",verdict="refused"}': "0+120x120"},
        {"limit": "create"},
    ),
    ("GatewayAccessLogDrops", {"gateway_access_log_lines_dropped_total": "3x55 9x60"}, {}),
]


def series(counted: Mapping[str, str]) -> list[dict[str, str]]:
    """promtool's, of one gateway."""
    found = []
    for selector, values in counted.items():
        name, _, labels = selector.partition("{")
        of_target = ",".join(f'{key}="{value}"' for key, value in TARGET.items())
        found.append(
            {"series": f"{name}{{{','.join(filter(None, [of_target, labels.rstrip('}')]))}}}"}
            | {"values": values}
        )
    return found


def firing(name: str, labels: dict[str, str]) -> list[dict[str, Any]]:
    """The alert as it should be after an hour: with these labels, and its texts filled in."""
    rule = RULES[name]
    on_target = {} if name == "GatewayAbsent" else TARGET
    texts = {
        key: re.sub(r"{{ \$labels\.(\w+) }}", lambda found: {**TARGET, **labels}[found[1]], text)
        for key, text in rule["annotations"].items()
    }
    return [{"exp_labels": {**on_target, **labels, **rule["labels"]}, "exp_annotations": texts}]


def case(counted: Mapping[str, str], expected: Mapping[str, list[dict[str, Any]]]) -> Any:
    return {
        "interval": "1m",
        "input_series": series(counted),
        "alert_rule_test": [
            {"eval_time": "60m", "alertname": name, "exp_alerts": expected.get(name, [])}
            for name in RULES
        ],
    }


def promtool(*arguments: str) -> None:
    ran = subprocess.run(
        [program("promtool"), *arguments], capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_prometheus_own_tool_finds_nothing_wrong_with_the_rules() -> None:
    promtool("check", "rules", "--lint-fatal", str(FILE))


def test_each_alert_fires_of_its_trouble_alone_and_none_of_a_sound_gateway(tmp_path: Path) -> None:
    cases = [case(SOUND, {}), case(UP, {})]
    for name, trouble, labels in TROUBLES:
        cases.append(case({**SOUND, **trouble}, {name: firing(name, labels)}))
    file = tmp_path / "test.yaml"
    whole = {"rule_files": [str(FILE)], "evaluation_interval": "5m", "tests": cases}
    file.write_text(json.dumps(whole), "utf-8")
    promtool("test", "rules", str(file))


def test_each_alert_is_tried() -> None:
    assert {name for name, _, _ in TROUBLES} == set(RULES)


@pytest.mark.parametrize("name", RULES)
def test_alert_asks_for_metrics_that_exist(name: str) -> None:
    assert not missing(RULES[name]["expr"])


@pytest.mark.parametrize("name", RULES)
def test_alert_says_what_it_means_and_what_to_do(name: str) -> None:
    rule = RULES[name]
    assert rule["labels"]["severity"] in {"page", "ticket"}
    assert set(rule["annotations"]) == {"summary", "description", "runbook"}
    named = re.findall(r"\b(gateway_\w+?)(?:\{|\b)", " ".join(rule["annotations"].values()))
    assert not [metric for metric in named if missing(metric)]
    referred = re.findall(r"\b(Gateway[A-Z]\w+)", rule["annotations"]["runbook"])
    assert set(referred) <= set(RULES)


def test_thresholds_are_eight_tenths_of_the_settings_defaults() -> None:
    limits = Config().limits
    assert RULES["GatewayWaitsNearLimit"]["expr"].endswith(f"> {limits.holds * 8 // 10}")
    assert RULES["GatewayBuffersNearLimit"]["expr"].endswith(f"0.8 * {limits.buffered_bytes}")


def test_late_is_twice_the_longest_gap_of_polls() -> None:
    late = 2 * Config().sync.max_poll_seconds
    assert RULES["GatewayNoticesLate"]["expr"].endswith(f"> {late:g}")


@pytest.mark.parametrize("name", RULES)
def test_alert_asks_for_what_stays(name: str) -> None:
    stable = {row.name for row in METRICS if row.stability == "stable"}
    asked_for = set(re.findall(r"\bgateway_\w+", RULES[name]["expr"])) - {"gateway_build_info"}
    assert {re.sub(r"_bucket$", "", metric) for metric in asked_for} <= stable


def test_settings_that_runbooks_name_exist() -> None:
    config = Config()
    texts = " ".join(text for rule in RULES.values() for text in rule["annotations"].values())
    for section, setting in re.findall(
        r"\b(listen|upstream|sync|identity|limits|redis|admin|log)\.(\w+)", texts
    ):
        assert hasattr(getattr(config, section), setting), f"{section}.{setting}"


def test_alerts_are_documented() -> None:
    page = (ROOT / "docs" / "operations.md").read_text("utf-8")
    section = page.partition("## Alerts and dashboard\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| `(\w+)` \| (\w+) \|", section, re.MULTILINE)
    assert rows == [(name, rule["labels"]["severity"]) for name, rule in RULES.items()]
