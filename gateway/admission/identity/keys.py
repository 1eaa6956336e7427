"""The keys that tokens are verified with: one of the settings', or a set that is fetched."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from gateway.admission.identity import key_files
from gateway.admission.identity.claims import Key
from gateway.admission.identity.key_files import UnusableKey
from gateway.admission.identity.key_set import KeySet

if TYPE_CHECKING:
    from gateway.admission.identity.claims import Signature
    from gateway.config import IdentityConfig

_log = logging.getLogger(__name__)
SECRET_BYTES = 32


class Keys(Protocol):
    """The source of the keys that tokens are verified with."""

    when_replaced: Callable[[], None]
    """Called when a key that tokens were verified with no longer holds."""

    def at_hand(self, signature: Signature) -> tuple[Key, ...]:
        """The keys that may have made a signature, few and the likeliest first."""
        raise NotImplementedError

    def may_come(self, signature: Signature) -> bool:
        """Tell whether ``named`` may know others than those at hand, or must say why not."""
        raise NotImplementedError

    async def named(self, signature: Signature) -> tuple[Key, ...]:
        """The same as ``at_hand``, after a fetch where that may help.

        Raises:
            KeysUnavailable: nobody can tell at the moment.
        """
        raise NotImplementedError

    def age_seconds(self) -> dict[str, float]:
        """How long ago they were read or fetched, by where they come from (file, jwks); empty where
        they can get no older."""
        raise NotImplementedError

    async def keep_fresh(self) -> None:
        """Do, until cancelled, what keeps the keys true."""
        raise NotImplementedError


def keys_of(config: IdentityConfig, clock: Callable[[], float], gap_seconds: float) -> Keys | None:
    """Make the keys of the settings; None where tokens are opaque. Two fetches of keys begin
    ``gap_seconds`` apart at least.

    Raises:
        UnusableKey: the file that had been read when the settings were checked is so no longer.
    """
    if config.mode == "opaque":
        if config.secret or config.secret_file or config.public_key_file or config.jwks_url:
            _log.warning('identity.mode is "opaque": no token is verified, though there is a key')
        return None
    if config.jwks_url:
        return KeySet(config.jwks_url, clock, gap_seconds=gap_seconds)
    return OneKey(read_key(config), clock, is_of_file=is_of_file(config))


def is_of_file(config: IdentityConfig) -> bool:
    """Tell whether the key stands in a file of its own."""
    return bool(config.public_key_file or config.secret_file)


def read_key(config: IdentityConfig) -> Key:
    """The key of the settings, or in the file that they name.

    Raises:
        UnusableKey: there is none.
    """
    name = "public_key_file" if config.public_key_file else "secret_file"
    try:
        if config.public_key_file:
            return Key("RS256", key_files.public_key(config.public_key_file))
        if config.secret_file:
            return _secret(key_files.shared_secret(config.secret_file))
    except UnusableKey as failure:
        raise UnusableKey(f"identity.{name}: {failure}") from None
    return _secret(key_files.checked_secret(config.secret.encode()))


def _secret(secret: bytes) -> Key:
    if len(secret) < SECRET_BYTES:
        _log.warning(
            "the secret of identity has less than %d bytes (RFC 7518, 3.2):"
            " whoever has a token can try to guess it",
            SECRET_BYTES,
        )
    return Key("HS256", secret)


class OneKey:
    """A key for every token, whatever id that names. ``is_of_file``: it was read just now from one
    of its own. ``clock`` gives monotonic seconds."""

    def __init__(self, key: Key, clock: Callable[[], float], *, is_of_file: bool = False) -> None:
        self._clock = clock
        self.when_replaced: Callable[[], None] = _nothing
        self._key = key
        self.hold(key, is_of_file=is_of_file)

    def hold(self, key: Key, *, is_of_file: bool) -> None:
        """Have this key from now on; what was verified with another one holds no more."""
        self._is_of_file = is_of_file
        self._read_at = self._clock()
        if key != self._key:
            self._key = key
            self.when_replaced()

    def at_hand(self, signature: Signature) -> tuple[Key, ...]:  # noqa: ARG002 - there is one key
        return (self._key,)

    def may_come(self, signature: Signature) -> bool:  # noqa: ARG002
        return False

    async def named(self, signature: Signature) -> tuple[Key, ...]:
        return self.at_hand(signature)

    def age_seconds(self) -> dict[str, float]:
        return {"file": self._clock() - self._read_at} if self._is_of_file else {}

    async def keep_fresh(self) -> None:
        """It stays as it is."""


def _nothing() -> None: ...
