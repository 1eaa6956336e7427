from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from gateway.config import ListenConfig
from gateway.downstream.listening.tls import UnusableCertificate, blank_context
from gateway.server.workers.certificates import UNNUMBERED, Certificates, Pairs
from tests.support.certificates import Files, self_signed

if TYPE_CHECKING:
    from pathlib import Path


def listening(files: Files) -> ListenConfig:
    return ListenConfig(tls_cert_file=str(files.cert), tls_key_file=str(files.key))


def test_pair_has_a_number_until_one_of_its_files_is_another(tmp_path: Path) -> None:
    files, pairs = self_signed(tmp_path), Pairs()
    listen = listening(files)
    assert [pairs.number(listen) for _ in range(3)] == [0, 0, 0]
    files.key.write_bytes(files.key.read_bytes())
    assert [pairs.number(listen) for _ in range(2)] == [1, 1]
    other = self_signed(tmp_path, "other")
    assert pairs.number(listening(other)) == 2
    # What was shown before may be shown again, but no context twice.
    assert pairs.number(listen) == 3
    files.cert.unlink()
    assert [pairs.number(listen) for _ in range(2)] == [4, 4]


def test_files_that_were_renewed_since_have_not_that_number(tmp_path: Path) -> None:
    files, pairs = self_signed(tmp_path), Pairs()
    listen = listening(files)
    number = pairs.number(listen)
    assert pairs.still(number, listen) == number
    files.key.write_bytes(files.key.read_bytes())
    assert pairs.still(number, listen) == UNNUMBERED
    # Numbered, but not taken up: those before them are shown.
    later = pairs.number(listen)
    assert pairs.still(number, listen) == UNNUMBERED
    assert pairs.still(later, listen) == later


def test_without_tls_there_is_one_pair() -> None:
    pairs = Pairs()
    assert [pairs.number(ListenConfig()) for _ in range(2)] == [0, 0]
    assert pairs.still(0, ListenConfig()) == 0


def test_each_pair_has_the_context_of_its_number_while_there_are_any(tmp_path: Path) -> None:
    listen = listening(self_signed(tmp_path))
    blanks = [blank_context() for _ in range(3)]
    certificates = Certificates(blanks, 1)
    assert certificates.blank(1) is blanks[1]
    other = certificates.other(listen, 2)
    assert other is not None
    assert other.context.current is blanks[2]
    beyond = certificates.other(listen, 3)
    assert beyond is not None
    assert beyond.context.current not in blanks
    assert certificates.blank(UNNUMBERED) not in blanks


def test_pair_that_is_shown_is_not_read_again(tmp_path: Path) -> None:
    files = self_signed(tmp_path)
    listen, certificates = listening(files), Certificates((), 4)
    files.cert.write_text("")
    assert certificates.other(listen, 4) is None
    with pytest.raises(UnusableCertificate):
        certificates.other(listen, 5)
    certificates.number = 5
    assert certificates.other(listen, 5) is None
