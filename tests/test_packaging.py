from __future__ import annotations

import fnmatch
import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from gateway import __version__, build
from gateway.cli.sources import load
from gateway.config import Config
from gateway.ops.operators.health import GRACE_SECONDS
from tools import dockerfile

ROOT = Path(__file__).parent.parent
LOCKS = ("requirements.lock", "requirements-build.lock", "requirements-dev.lock")
LOCKED = re.compile(
    r"^(?P<name>[a-z0-9-]+)(?P<extras>\[[a-z0-9,-]+\])?==(?P<version>\S+) "
    r".*--hash=sha256:[0-9a-f]{64}",
    re.MULTILINE,
)


def text(name: str) -> str:
    return (ROOT / name).read_text("utf-8")


def locked(name: str) -> dict[str, str]:
    """The version of each distribution in a lock."""
    entries = LOCKED.finditer(text(name).replace("\\\n", ""))
    return {entry["name"]: entry["version"] for entry in entries}


def stages() -> list[list[str]]:
    """The Dockerfile's instructions, stage by stage."""
    return dockerfile.stages(text("Dockerfile"))


def instruction(name: str) -> str:
    (line,) = [line for line in stages()[-1] if line.startswith(f"{name} ")]
    return line.removeprefix(f"{name} ")


def test_wheel_has_all_files_of_the_package() -> None:
    (patterns,) = tomllib.loads(text("pyproject.toml"))["tool"]["setuptools"][
        "package-data"
    ].values()
    package = ROOT / "gateway"
    others = [
        path.relative_to(package).as_posix()
        for path in package.rglob("*")
        if path.is_file() and path.suffix not in {".py", ".pyc", ".so"}
    ]
    assert "ops/page/static/page.js" in others
    assert [name for name in others if not any(fnmatch.fnmatch(name, p) for p in patterns)] == []


def test_image_runs_as_a_numeric_user_that_is_not_root() -> None:
    user, group = instruction("USER").split(":")
    assert int(user) > 0
    assert int(group) > 0


def test_image_starts_the_gateway_without_a_shell() -> None:
    assert json.loads(instruction("ENTRYPOINT")) == ["theeye-sync-gateway"]
    assert json.loads(instruction("CMD")) == ["serve"]
    assert instruction("STOPSIGNAL") == "SIGTERM"
    assert instruction("EXPOSE").split() == [
        str(Config().listen.port),
        str(Config().admin.port),
    ]


def test_image_has_only_what_the_build_stage_made() -> None:
    build, last = stages()
    assert (build[0], last[0]) == ("FROM ${BASE} AS build", "FROM ${BASE}")
    [base] = re.findall(r"^ARG BASE=(.+)$", text("Dockerfile"), re.MULTILINE)
    assert re.fullmatch(r"python:3\.13-slim@sha256:[0-9a-f]{64}", base)
    assert not any(line.startswith("RUN") for line in last)
    assert [line for line in last if line.startswith("COPY")] == [
        "COPY --from=build /opt/gateway /opt/gateway"
    ]


def test_image_says_what_it_is_and_what_it_stands_on() -> None:
    project = tomllib.loads(text("pyproject.toml"))["project"]
    labels = dict(
        re.findall(r'org\.opencontainers\.image\.([a-z.]+)="([^"]*)"', text("Dockerfile"))
    )
    assert labels.keys() == {
        *("title", "description", "version", "revision", "licenses", "base.name"),
    }
    assert labels["title"] == project["name"]
    assert labels["version"] == __version__
    assert labels["licenses"] == project["license"]
    assert labels["base.name"] == "docker.io/library/${BASE}"
    # Without them the stage does not know the build's arguments.
    assert {"ARG BASE", 'ARG REVISION=""'} <= set(stages()[-1])


def test_image_installs_nothing_whose_hash_is_not_locked() -> None:
    runs = " && ".join(line for line in stages()[0] if line.startswith("RUN"))
    installs = [step for step in runs.split("&&") if re.search(r"pip.* (install|wheel) ", step)]
    assert len(installs) == 4
    for step in installs:
        assert "--require-hashes" in step or "--no-index" in step


def test_image_has_the_compiled_build() -> None:
    runs = " && ".join(line.removeprefix("RUN ") for line in stages()[0] if line.startswith("RUN"))
    assert "GATEWAY_COMPILE=1 pip wheel" in runs
    assert runs.endswith("/opt/gateway/bin/theeye-sync-gateway --version | grep compiled")


def test_image_build_gets_what_it_copies_and_nothing_secret() -> None:
    rules = text(".dockerignore").splitlines()
    assert rules[0] == "*"
    let_in = {rule[1:] for rule in rules if rule.startswith("!")}
    copied = {
        name for line in stages()[0] if line.startswith("COPY") for name in line.split()[1:-1]
    }
    assert let_in == copied


@pytest.mark.parametrize("name", LOCKS)
def test_lock_pins_every_requirement_with_hashes_from_no_particular_index(name: str) -> None:
    pinned = text(name).replace("\\\n", "")
    entries = [line for line in pinned.splitlines() if line and not line.lstrip().startswith("#")]
    assert entries
    assert all(LOCKED.match(line) for line in entries)
    assert "://" not in text(name)


def test_locks_agree() -> None:
    runtime, build, dev = (locked(name) for name in LOCKS)
    assert {**runtime, **build}.items() <= dev.items()


def test_locks_keep_the_extras_of_what_they_name() -> None:
    """Old pips that are let resolve again look for what an extra brings in the newest release."""
    (made_by,) = re.findall(r"^LOCK := (.*?[^\\])$", text("Makefile"), re.MULTILINE | re.DOTALL)
    assert "--no-strip-extras" in made_by.split()
    entries = LOCKED.finditer(text("requirements-dev.lock").replace("\\\n", ""))
    extras = {entry["name"]: entry["extras"] for entry in entries}
    assert extras["coverage"] == "[toml]"
    assert extras["pyjwt"] == "[crypto]"


def test_lock_has_what_the_project_asks_for() -> None:
    project = tomllib.loads(text("pyproject.toml"))
    wanted = project["project"]["dependencies"]
    names = {re.split(r"[^A-Za-z0-9_.-]", each)[0].lower().replace("_", "-") for each in wanted}
    assert names <= set(locked("requirements.lock"))


def pod() -> dict[str, Any]:
    """What the component changes of the orchestrator's pod, by path."""
    operations = yaml.safe_load(text("config/kubernetes/sidecar/pod.yaml"))
    assert all(each["op"] == "add" for each in operations)
    prefix = "/spec/template/spec/"
    return {each["path"].removeprefix(prefix): each["value"] for each in operations}


def sidecar() -> dict[str, Any]:
    container: dict[str, Any] = pod()["containers/-"]
    return container


def environ() -> dict[str, str]:
    return {each["name"]: each["value"] for each in sidecar()["env"]}


def test_sidecar_has_drained_before_the_orchestrator_leaves_and_the_pod_is_killed() -> None:
    before = re.search(r"sleep\((\d+)\)", sidecar()["lifecycle"]["preStop"]["exec"]["command"][-1])
    assert before is not None
    gone = int(before[1]) + load(None, environ()).config.listen.drain_seconds
    orchestrator_stays = pod()["containers/0/lifecycle"]["preStop"]["sleep"]["seconds"]
    assert gone < orchestrator_stays < pod()["terminationGracePeriodSeconds"]


def test_sidecar_is_probed_where_it_answers() -> None:
    container, config = sidecar(), load(None, environ()).config
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    assert ports == {"sync": config.listen.port, "sync-admin": config.admin.port}
    assert config.admin.host == "0.0.0.0"
    probes = {
        name: (probe["httpGet"]["path"], ports[probe["httpGet"]["port"]])
        for name, probe in container.items()
        if name.endswith("Probe")
    }
    admin = config.admin.port
    assert probes == {
        "startupProbe": ("/live", admin),
        "livenessProbe": ("/live", admin),
        "readinessProbe": ("/ready", admin),
    }


def test_grace_of_the_readiness_probe_is_told_where_it_is_set_up() -> None:
    for name in ("docs/operations.md", "config/kubernetes/sidecar/pod.yaml"):
        joined = re.sub(r"\s+#?\s*", " ", text(name))
        assert re.search(rf"\b{GRACE_SECONDS:g} s (of grace )?from its first failure", joined), name


def test_sidecar_may_do_no_more_than_it_needs() -> None:
    security = sidecar()["securityContext"]
    user, group = instruction("USER").split(":")
    assert security == {
        "runAsNonRoot": True,
        "runAsUser": int(user),
        "runAsGroup": int(group),
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    assert {"requests", "limits"} == set(sidecar()["resources"])


def test_deployments_name_the_image_of_this_version() -> None:
    (image,) = yaml.safe_load(text("config/kubernetes/sidecar/kustomization.yaml"))["images"]
    assert image == {"name": sidecar()["image"], "newTag": __version__}
    chart = yaml.safe_load(text("config/kubernetes/chart/Chart.yaml"))
    assert (chart["version"], chart["appVersion"]) == (__version__, __version__)
    gateway = yaml.safe_load(text("config/compose.yaml"))["services"]["gateway"]
    assert gateway["image"] == f"theeye-sync-gateway:{__version__}"


def test_changelog_tells_of_this_version() -> None:
    assert f"## [{__version__}]" in text("CHANGELOG.md")


def test_license_is_whole() -> None:
    whole = text("LICENSE")
    assert "Version 2.0, January 2004" in whole
    assert "END OF TERMS AND CONDITIONS" in whole


def test_make_help_names_every_target() -> None:
    told = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True)
    (phony,) = re.findall(r"^\.PHONY: (.*)$", text("Makefile"), re.MULTILINE)
    assert re.findall(r"make (\w+)", told.stdout) == phony.split()


@pytest.mark.parametrize(
    ("python", "said"),
    [
        ("old", "Python 3.11 or newer is needed"),
        ("bare", "cannot make virtual environments"),
        ("absent", "Python 3.11 or newer is needed"),
    ],
)
def test_make_says_what_is_missing(tmp_path: Path, python: str, said: str) -> None:
    scripts = {"old": "exit 1", "bare": 'case "$2" in *ensurepip*) exit 1;; esac'}
    interpreter = tmp_path / python
    if python in scripts:
        interpreter.write_text(f"#!/bin/sh\n{scripts[python]}\n")
        interpreter.chmod(0o755)
    ran = subprocess.run(
        ["make", "test", f"PYTHON={interpreter}", f"VENV={tmp_path}/venv"],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode != 0
    assert said in ran.stderr
    assert not (tmp_path / "venv").exists()


def test_ci_runs_what_a_developer_runs() -> None:
    script = ROOT / ".ci" / "run"
    assert os.access(script, os.X_OK)
    subprocess.run(["bash", "-n", str(script)], check=True)
    commands = script.read_text("utf-8").splitlines()
    assert "set -euo pipefail" in commands
    assert [line.partition(" OLDEST=")[0] for line in commands if line.startswith("make ")] == [
        "make test",
        "make lint",
        "make clients",
        "make deployment",
        "make compiled",
        "make lowest",
    ]
    # Debian's is the oldest Python that has to do.
    assert "make lowest OLDEST=/usr/bin/python3" in commands
    newest = "make test PYTHON=python3.14 VENV=build/python3.14 ARGS=tests"
    assert newest in map(str.strip, commands)


def test_every_python_that_is_named_is_one_that_ci_or_a_developer_runs() -> None:
    project = tomllib.loads(text("pyproject.toml"))["project"]
    named = [each.rpartition(" ")[2] for each in project["classifiers"] if "3." in each]
    assert named == ["3.11", "3.12", "3.13", "3.14"]
    assert project["requires-python"] == f">={named[0]}"


def test_wheel_and_clone_are_what_is_installed_from() -> None:
    """No index has the gateway, so nothing may be told to be installed by its name."""
    name = tomllib.loads(text("pyproject.toml"))["project"]["name"]
    told = {each: text(each) for each in ("README.md", "docs/operations.md")}
    for document in told.values():
        assert re.search(r"^pip install --no-deps --no-build-isolation \.$", document, re.MULTILINE)
        assert not re.search(rf"pip install [^`\n]*\b{re.escape(name)}\b", document)
    wheel = f"{name.replace('-', '_')}-{__version__}-py3-none-any.whl"
    assert f"pip install --no-deps {wheel}" in told["docs/operations.md"]


def test_the_command_is_installed() -> None:
    command = Path(sys.executable).parent / "theeye-sync-gateway"
    ran = subprocess.run([command, "--version"], capture_output=True, text=True, check=True)
    assert ran.stdout == f"theeye-sync-gateway {__version__} ({build()})\n"


def test_git_ignores_what_make_leaves_behind() -> None:
    ignored = text(".gitignore").splitlines()
    for name in (".venv/", ".coverage", "x.egg-info/", "__pycache__/"):
        assert any(fnmatch.fnmatch(name, rule) for rule in ignored)
