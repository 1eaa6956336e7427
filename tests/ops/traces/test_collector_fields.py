"""The file with the fields that a collector wants."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from gateway.ops.traces.collector_fields import MOST_BYTES, UnusableFields, collector_fields

if TYPE_CHECKING:
    from pathlib import Path


def test_file_has_one_field_a_line(tmp_path: Path) -> None:
    file = tmp_path / "fields"
    file.write_text("# of the collector\nAuthorization: Bearer a b\n\nX-Scope:tenant \n")
    assert collector_fields(str(file)) == {"Authorization": "Bearer a b", "X-Scope": "tenant"}


@pytest.mark.parametrize("line", ["s3cret", "A B: s3cret", ": s3cret", "A:", "A: s3cret\x7f"])
def test_rfc_9110_5_line_that_is_no_field_is_told_without_its_value(
    tmp_path: Path, line: str
) -> None:
    file = tmp_path / "fields"
    file.write_text(f"X: y\n{line}\n")
    with pytest.raises(UnusableFields, match="line 2") as raised:
        collector_fields(str(file))
    assert "s3cret" not in str(raised.value)


def test_file_that_is_absent_or_too_large_is_told(tmp_path: Path) -> None:
    with pytest.raises(UnusableFields, match="No such file"):
        collector_fields(str(tmp_path / "absent"))
    large = tmp_path / "large"
    large.write_bytes(b"X" * (MOST_BYTES + 1))
    with pytest.raises(UnusableFields, match="more than"):
        collector_fields(str(large))
