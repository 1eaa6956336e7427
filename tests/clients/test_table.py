"""The table of clients in docs/waiting.md says what `make clients` tries."""

from __future__ import annotations

import re

import pytest

from tests.clients.table import CLIENTS, Client
from tests.test_tables import rows_below

PAGE = "docs/waiting.md"


def test_table_has_the_clients_that_are_tried_and_says_what_is_tried() -> None:
    told = [[cell.strip() for cell in row] for row in rows_below(PAGE, "Clients")]
    assert told == [client.row for client in CLIENTS]


@pytest.mark.parametrize("client", CLIENTS, ids=lambda client: client.name)
def test_what_a_client_needs_stands_in_its_program(client: Client) -> None:
    text = re.sub(r"\s+", " ", client.source)
    for line in client.needs:
        assert line in text
