"""The tools that `make deployment` has set up."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

ROOT = Path(__file__).parent.parent.parent
TOOLS = ROOT / "build" / "deployment"
CHART = ROOT / "config" / "kubernetes" / "chart"

Object = dict[str, Any]


def tool(path: str) -> Path:
    """One of them; without it a test is skipped."""
    found = TOOLS / path
    if not found.exists():
        pytest.skip(f"{found.name} is not installed: it needs npm, and Linux on x86-64")
    return found


def run(program: Path, *arguments: str, given: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [program, *arguments],
        input=given,
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": os.environ["PATH"], "HOME": str(TOOLS)},
    )


def objects(text: str) -> list[Object]:
    return [each for each in yaml.safe_load_all(text) if each]


def helm(*arguments: str, values: Mapping[str, Any]) -> subprocess.CompletedProcess[str]:
    """Let Helm do something with the chart."""
    return run(
        tool("helm/helm"), *arguments, str(CHART), "--values", "-", given=json.dumps({**values})
    )


def rendered(values: Mapping[str, Any], *options: str) -> list[Object]:
    """The chart's objects with these values, of a release with the name sync."""
    ran = helm("template", *options, "sync", values=values)
    assert ran.returncode == 0, ran.stderr
    return objects(ran.stdout)


def kustomized(folder: Path) -> list[Object]:
    ran = run(tool("kubectl/kubectl"), "kustomize", str(folder))
    assert ran.returncode == 0, ran.stderr
    return objects(ran.stdout)


def by_schemas(*, kubernetes: Sequence[Object] = (), compose: Sequence[Object] = ()) -> list[str]:
    """What is wrong with them, says programs/validate.mjs."""
    tool("node_modules")
    given = json.dumps({"kubernetes": kubernetes, "compose": compose})
    ran = subprocess.run(
        ["node", "validate.mjs"],
        cwd=TOOLS,
        input=given,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout.splitlines()


def by_version(found: Sequence[Object], version: str, folder: Path) -> str:
    """What a version of Kubernetes ("1.30") finds wrong with them, unknown fields too; empty if
    nothing. Kinds that it does not bring itself are left out."""
    file = folder / "objects.yaml"
    file.write_text(yaml.safe_dump_all(found), "utf-8")
    ran = run(
        tool("venv/bin/kubernetes-validate"),
        *("--kubernetes-version", version, "--strict", "--quiet", "--no-warn", str(file)),
    )
    return ran.stdout + ran.stderr if ran.returncode else ""
