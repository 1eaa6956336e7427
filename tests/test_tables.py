"""Tables in the documents say what the code says: settings, formats, metrics, fields of the log."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from gateway.config.tree import settings
from gateway.errors import INVALID_JOB_ID, TIME_UP
from gateway.ops.log.fields import FIELDS
from gateway.ops.metrics.rows import METRICS
from gateway.sync.results.formats import FORMATS
from gateway.wording import shown
from tests.test_errors import all_errors

ROOT = Path(__file__).parent.parent
PLACES = {
    "settings": ("docs/configuration.md", "Configuration"),
    "formats": ("docs/waiting.md", "Formats"),
    "metrics": ("docs/operations.md", "Metrics"),
    "fields": ("docs/operations.md", "Access log"),
}
"""Where each table stands: the page, and the heading that it is the first table below."""

CODE = re.compile(r"`([^`]+)`")
MIB = 1024 * 1024


def rows(table: str) -> list[list[str]]:
    """The cells of a table, without its head."""
    return rows_below(*PLACES[table])


def rows_below(page: str, heading: str) -> list[list[str]]:
    """The cells of the first table below a heading, without its head."""
    text = (ROOT / page).read_text("utf-8")
    _, found, section = re.split(
        rf"^(#+ {re.escape(heading)})$", text, maxsplit=1, flags=re.MULTILINE
    )
    lines = re.search(r"^\|.*(?:\n\|.*)*", section, flags=re.MULTILINE)
    assert found
    assert lines is not None
    split = [line.strip("|").split(" | ") for line in lines[0].splitlines()]
    return [[cell.strip() for cell in cells] for cells in split[2:]]


def named(cell: str) -> list[str]:
    return CODE.findall(cell)


def default(value: object) -> str:
    """A default as the documents have it."""
    if value in ("", ()):
        return "none"
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, int) and value >= MIB and value % MIB == 0:
        return f"{value // MIB} MiB"
    return f"`{value}`" if isinstance(value, str) else shown(value)


@pytest.mark.parametrize("row", rows("settings"), ids=lambda row: row[0])
def test_settings_are_documented_with_their_defaults(row: list[str]) -> None:
    known = settings()
    of_row = [default(known[name].default) for name in named(row[0])]
    assert of_row in (row[1].split(", "), row[1].split(", ") * len(of_row))


def test_formats_are_documented_in_their_order_of_precedence() -> None:
    *own, without = rows("formats")
    names = [name.partition("=")[0] for cells in own for name in named(cells[0])]
    assert list(dict.fromkeys(names)) == list(FORMATS)
    defaults = {name: rule.default_of for name, rule in FORMATS.items() if rule.default_of}
    told = dict(re.findall(r"`(\w+)` \(profile ([0-9.]+)\)", without[1]))
    assert told == defaults


def test_metrics_are_documented_as_the_table_has_them() -> None:
    told = [
        (named(name)[0], kind, tuple(named(labels)), stability, meaning)
        for name, kind, labels, stability, meaning in rows("metrics")
    ]
    assert told == [row[:5] for row in METRICS]


def test_fields_of_the_log_are_documented_as_the_table_has_them() -> None:
    told = [(named(name)[0], kind, meaning) for name, kind, meaning in rows("fields")]
    assert told == [(field.name, field.type, field.meaning) for field in FIELDS]


def test_each_code_of_an_error_has_a_section_with_its_status() -> None:
    page = (ROOT / "docs" / "errors.md").read_text("utf-8")
    told = re.findall(r"^### (\w+)\n\n(\d{3})\. ", page.partition("\n## Codes\n")[2], re.MULTILINE)
    known = {(kind.code, kind.status) for kind in all_errors()}
    assert {(code, int(status)) for code, status in told} == (
        known | {(INVALID_JOB_ID, 400), (TIME_UP, 408)}
    )
    statuses = [status for _, status in told]
    assert statuses == sorted(statuses)
    assert len(told) == len(known) + 2
