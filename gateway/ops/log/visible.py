"""What a client says as it may stand in a log: visible ASCII, bounded, without secrets."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final
from urllib.parse import quote

from gateway.protocols.theeye.redaction import redact
from gateway.stores.memo import Memo

WORD_CHARACTERS: Final = 128
AGENT_CHARACTERS: Final = 256
_READ_BYTES: Final = 1024
"""Of what a client calls itself; more of it would only take time."""
_KEPT_BYTES: Final = 512
"""A longer text is not remembered."""
_KEPT: Final = 1024
_ADDRESS = re.compile(r"[0-9A-Fa-f.:]{0,45}")
_UNSAFE = re.compile(r'[^!-~]|["\\]')


def shown_word(word: str) -> str:
    """An id or a method, which nearly always is shown as it is."""
    if word.isalnum() and word.isascii() and len(word) <= WORD_CHARACTERS:
        return word
    return shown(word) if word else word


def shown(value: str, most: int = WORD_CHARACTERS) -> str:
    return redact(value if _is_safe(value) else _UNSAFE.sub(_percent_encoded, value))[:most]


def _is_safe(value: str) -> bool:
    # The same as not _UNSAFE.search(value), several times faster.
    return (
        value.isascii()
        and value.isprintable()
        and " " not in value
        and '"' not in value
        and "\\" not in value
    )


def shown_address(address: str) -> str:
    return _addresses.of(address)


def _shown_address(address: str) -> str:
    return address if _ADDRESS.fullmatch(address) else shown(address)


def _percent_encoded(match: re.Match[str]) -> str:
    return _encoded(match[0])


@lru_cache(maxsize=1024)
def _encoded(character: str) -> str:
    return quote(character, safe="", errors="surrogateescape")


def shown_name(name: str) -> str:
    """A user's or an organization's name."""
    return _names.of(name)


def shown_agent(said: bytes) -> str:
    """A client's own name and version, as ``User-Agent`` has it (RFC 9110, 10.1.5)."""
    return _agents.of(said) if len(said) <= _KEPT_BYTES else _shown_agent(said)


def _shown_agent(said: bytes) -> str:
    return shown(said[:_READ_BYTES].decode("utf-8", "surrogateescape"), AGENT_CHARACTERS)


def agent_in_words(said: bytes) -> str:
    """The same with its spaces, for where nothing ends at one."""
    return shown_agent(said).replace("%20", " ")


# Most requests are of a few programs, addresses and users.
_addresses: Final = Memo(_shown_address, _KEPT)
_names: Final[Memo[str, str]] = Memo(shown, _KEPT)
_agents: Final = Memo(_shown_agent, _KEPT)
