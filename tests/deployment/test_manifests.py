"""What stands in config/kubernetes is rendered by Helm and kubectl, is what Kubernetes and its
operators take, and fits the gateway.
"""

from __future__ import annotations

import copy
import re
import tomllib
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from gateway.cli.sources import load
from gateway.config import Config
from tests.deployment.tools import (
    CHART,
    ROOT,
    Object,
    by_schemas,
    by_version,
    helm,
    kustomized,
    rendered,
)

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

pytestmark = pytest.mark.deployment

LEAST: Mapping[str, Any] = {"upstream": "http://orchestrator:60080"}
ALL: Mapping[str, Any] = {
    **LEAST,
    "image": {
        "repository": "registry.example/gateway",
        "digest": f"sha256:{'0' * 64}",
        "pullSecrets": [{"name": "registry"}],
    },
    "settings": {
        "redis": {"url": "redis://redis:6379/0"},
        "limits": {
            "holds": 20000,
            "create": {"per_second": 0.5},
            "rules": [{"token_hash": "0" * 32, "holds": 7, "create": {"per_second": 2.5}}],
        },
        "sync": {"scouts": False, "default_customer": 'a "b" <c> \\ é'},
        "listen": {"port": 1, "trusted_proxies": ["10.0.0.0/8", "fd00::/8"]},
    },
    "secret": "gateway",
    "preStopSeconds": 7,
    "drainSeconds": 30,
    "service": {"type": "LoadBalancer", "port": 8080},
    "httpRoute": {
        "enabled": True,
        "parentRefs": [{"name": "public", "namespace": "gateways"}],
        "hostnames": ["theeye.example"],
    },
    "autoscaling": {"enabled": True},
    "networkPolicy": {"clients": [{"podSelector": {"matchLabels": {"app": "caller"}}}]},
    "podMonitor": {"enabled": True, "labels": {"release": "prometheus"}},
    "prometheusRule": {"enabled": True, "labels": {"release": "prometheus"}},
    "podLabels": {"team": "platform"},
    "podAnnotations": {"example.org/a": "b"},
    "nodeSelector": {"kubernetes.io/arch": "amd64"},
    "tolerations": [{"key": "a", "operator": "Exists"}],
    "affinity": {"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": []}},
}


@pytest.fixture(scope="module", params=[LEAST, ALL], ids=["least", "all"])
def chart(request: pytest.FixtureRequest) -> list[Object]:
    return rendered(request.param)


@pytest.fixture(scope="module")
def with_all() -> list[Object]:
    return rendered(ALL)


@pytest.fixture(scope="module")
def example() -> list[Object]:
    return kustomized(ROOT / "config" / "kubernetes" / "example")


def of_kind(kind: str, found: list[Object]) -> Object:
    (one,) = [each for each in found if each["kind"] == kind]
    return one


def pod_of(found: list[Object]) -> Object:
    template: Object = of_kind("Deployment", found)["spec"]["template"]
    return template


def config_of(found: list[Object], folder: Path) -> Config:
    """The gateway's settings as its pods read them."""
    file = folder / "gateway.toml"
    file.write_text(of_kind("ConfigMap", found)["data"]["gateway.toml"], "utf-8")
    return load(file, {}).config


def test_helm_finds_nothing_wrong_with_the_chart() -> None:
    ran = helm("lint", "--strict", "--quiet", values=ALL)
    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_chart_has_all_kinds() -> None:
    least = ["ConfigMap", "Deployment", "NetworkPolicy", "PodDisruptionBudget", "Service"]
    assert sorted(each["kind"] for each in rendered(LEAST)) == least
    more = ["HTTPRoute", "HorizontalPodAutoscaler", "PodMonitor", "PrometheusRule"]
    assert sorted(each["kind"] for each in rendered(ALL)) == sorted(least + more)


def test_objects_of_the_chart_are_what_their_schemas_say(chart: list[Object]) -> None:
    assert by_schemas(kubernetes=chart) == []


def test_chart_is_for_the_oldest_kubernetes_that_it_names(
    with_all: list[Object], tmp_path: Path
) -> None:
    assert by_version(with_all, "1.25", tmp_path) == ""


def test_sidecar_is_for_kubernetes_1_30_and_newer(example: list[Object], tmp_path: Path) -> None:
    assert by_version(example, "1.30", tmp_path) == ""
    assert by_schemas(kubernetes=example) == []


def test_what_is_wrong_is_found(with_all: list[Object]) -> None:
    """Else the tests above say nothing."""
    found = copy.deepcopy(with_all)
    pod_of(found)["spec"]["containers"][0]["readinessprobe"] = {}
    of_kind("HTTPRoute", found)["spec"]["rules"][0]["timeout"] = {}
    of_kind("PodMonitor", found)["spec"]["podMetricsEndpoints"][0]["interval"] = "soon"
    of_kind("PrometheusRule", found)["spec"]["groups"][0]["rules"][0]["expr"] = {}
    said = "\n".join(by_schemas(kubernetes=found))
    for what in ("readinessprobe is no field", "timeout is no field", "interval", "expr"):
        assert what in said


def test_settings_reach_the_gateway_as_they_were_written(
    with_all: list[Object], tmp_path: Path
) -> None:
    config = config_of(with_all, tmp_path)
    assert config.upstream.url == LEAST["upstream"]
    assert config.limits.holds == 20000
    assert config.limits.create.per_second == 0.5
    (rule,) = config.limits.rules
    assert (rule.holds, rule.token_hash) == (7, "0" * 32)
    assert config.sync.scouts is False
    assert config.sync.default_customer == ALL["settings"]["sync"]["default_customer"]
    assert [str(each) for each in config.listen.trusted_proxies] == ["10.0.0.0/8", "fd00::/8"]


def test_settings_that_the_chart_relies_on_cannot_be_changed(
    chart: list[Object], tmp_path: Path
) -> None:
    config = config_of(chart, tmp_path)
    (container,) = pod_of(chart)["spec"]["containers"]
    ports = {each["name"]: each["containerPort"] for each in container["ports"]}
    assert ports == {"sync": config.listen.port, "admin": config.admin.port}
    assert (config.listen.host, config.admin.host) == ("0.0.0.0", "0.0.0.0")


def test_pod_has_drained_before_it_is_killed(chart: list[Object], tmp_path: Path) -> None:
    spec = pod_of(chart)["spec"]
    said = spec["containers"][0]["lifecycle"]["preStop"]["exec"]["command"][-1]
    (before,) = re.findall(r"sleep\((\d+)\)", said)
    drain = config_of(chart, tmp_path).listen.drain_seconds
    assert int(before) + drain < spec["terminationGracePeriodSeconds"]


def test_pod_runs_as_the_images_user_and_writes_nothing(chart: list[Object]) -> None:
    spec = pod_of(chart)["spec"]
    (user,) = re.findall(r"^USER (\d+):", (ROOT / "Dockerfile").read_text("utf-8"), re.MULTILINE)
    assert spec["securityContext"] == {
        "runAsNonRoot": True,
        "runAsUser": int(user),
        "runAsGroup": int(user),
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    assert spec["containers"][0]["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert spec["automountServiceAccountToken"] is False


def test_everything_leads_to_the_pods(with_all: list[Object]) -> None:
    labels = pod_of(with_all)["metadata"]["labels"].items()
    named = {each["name"] for each in pod_of(with_all)["spec"]["containers"][0]["ports"]}
    service = of_kind("Service", with_all)
    monitor = of_kind("PodMonitor", with_all)["spec"]
    policy = of_kind("NetworkPolicy", with_all)["spec"]
    for selector in (
        of_kind("Deployment", with_all)["spec"]["selector"]["matchLabels"],
        service["spec"]["selector"],
        monitor["selector"]["matchLabels"],
        policy["podSelector"]["matchLabels"],
        of_kind("PodDisruptionBudget", with_all)["spec"]["selector"]["matchLabels"],
    ):
        assert selector.items() <= labels
    ports = [each["ports"][0]["port"] for each in policy["ingress"]]
    assert ports == ["sync", "admin"]
    assert {service["spec"]["ports"][0]["targetPort"], *ports} == named
    assert monitor["podMetricsEndpoints"][0]["port"] == "admin"
    (backend,) = of_kind("HTTPRoute", with_all)["spec"]["rules"][0]["backendRefs"]
    assert backend == {
        "name": service["metadata"]["name"],
        "port": service["spec"]["ports"][0]["port"],
    }
    scaled = of_kind("HorizontalPodAutoscaler", with_all)["spec"]
    assert scaled["scaleTargetRef"]["name"] == of_kind("Deployment", with_all)["metadata"]["name"]


def test_number_of_pods_is_the_autoscalers_where_there_is_one() -> None:
    assert of_kind("Deployment", rendered(LEAST))["spec"]["replicas"] == 2
    assert "replicas" not in of_kind("Deployment", rendered(ALL))["spec"]


def test_autoscaler_lets_pods_fill_half_of_their_holds(with_all: list[Object]) -> None:
    waits = of_kind("HorizontalPodAutoscaler", with_all)["spec"]["metrics"][0]["pods"]
    assert waits["metric"]["name"] == "gateway_waits_in_flight"
    assert int(waits["target"]["averageValue"]) == Config().limits.holds // 2


def test_changed_settings_renew_the_pods() -> None:
    def checksum(values: Mapping[str, Any]) -> str:
        (found,) = pod_of(rendered(values))["metadata"]["annotations"].values()
        return str(found)

    changed = {**LEAST, "settings": {"sync": {"max_prefer_seconds": 30}}}
    assert checksum(LEAST) == checksum({**LEAST, "service": {"port": 8080}})
    assert checksum(LEAST) != checksum(changed)


def test_alerts_of_the_chart_are_those_of_the_file(with_all: list[Object]) -> None:
    file = ROOT / "config" / "prometheus" / "rules.yaml"
    assert of_kind("PrometheusRule", with_all)["spec"] == yaml.safe_load(file.read_text("utf-8"))


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({}, "upstream"),
        ({"upstream": "http://o:1/path"}, "upstream"),
        ({**LEAST, "replica": 3}, "replica"),
        ({**LEAST, "drainSeconds": "20s"}, "drainSeconds"),
        ({**LEAST, "image": {"digest": "latest"}}, "digest"),
        ({**LEAST, "httpRoute": {"enabled": True}}, "parentRefs"),
    ],
)
def test_values_that_make_no_sense_are_refused(values: Mapping[str, Any], said: str) -> None:
    ran = helm("template", "sync", values=values)
    assert ran.returncode != 0
    assert said in ran.stderr


def test_notes_warn_of_several_pods_without_redis() -> None:
    def notes(values: Mapping[str, Any]) -> str:
        ran = helm("install", "--dry-run=client", "sync", values=values)
        assert ran.returncode == 0, ran.stderr
        return ran.stdout.partition("NOTES:")[2]

    assert "no Redis" in notes(LEAST)
    assert "no Redis" not in notes(ALL)
    assert "no Redis" not in notes({**LEAST, "replicas": 1})


def test_every_value_is_used() -> None:
    used = "".join(path.read_text("utf-8") for path in (CHART / "templates").iterdir())
    for name in re.findall(r"^(\w+):", (CHART / "values.yaml").read_text("utf-8"), re.MULTILINE):
        assert f".Values.{name}" in used


def test_sidecar_stands_beside_the_orchestrator_and_takes_its_port(example: list[Object]) -> None:
    spec = pod_of(example)["spec"]
    orchestrator, gateway = spec["containers"]
    assert "initContainers" not in spec
    assert orchestrator["name"] == "orchestrator"
    assert gateway["image"].startswith("theeye-sync-gateway:")
    (port,) = of_kind("Service", example)["spec"]["ports"]
    assert port["targetPort"] in {each["name"] for each in gateway["ports"]}
    listens = {each["containerPort"] for each in orchestrator["ports"]}
    (upstream,) = [e["value"] for e in gateway["env"] if e["name"] == "GATEWAY_UPSTREAM__URL"]
    assert int(upstream.rpartition(":")[2]) in listens


def test_sidecar_leaves_what_is_not_labelled_alone(tmp_path: Path) -> None:
    folder = tmp_path / "config" / "kubernetes"
    folder.mkdir(parents=True)
    source = ROOT / "config" / "kubernetes"
    for name in ("sidecar/kustomization.yaml", "sidecar/pod.yaml", "sidecar/service.yaml"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text((source / name).read_text("utf-8"), "utf-8")
    (folder / "example").mkdir()
    for name in ("kustomization.yaml", "orchestrator.yaml"):
        text = (source / "example" / name).read_text("utf-8")
        bare = text.replace("  labels: {theeye-sync-gateway: sidecar}\n", "")
        (folder / "example" / name).write_text(bare, "utf-8")
    found = kustomized(folder / "example")
    assert len(pod_of(found)["spec"]["containers"]) == 1
    assert of_kind("Service", found)["spec"]["ports"][0]["targetPort"] == "api"


def test_toml_of_the_chart_is_toml(with_all: list[Object]) -> None:
    parsed = tomllib.loads(of_kind("ConfigMap", with_all)["data"]["gateway.toml"])
    assert parsed["listen"]["drain_seconds"] == 30
