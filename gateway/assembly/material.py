"""What the files have in them that the settings name: keys, read anew and checked before use."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from gateway.admission.identity.key_files import UnusableKey
from gateway.admission.identity.keys import read_key
from gateway.sync.kept.seal import read_keys

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gateway.admission.identity.claims import Key
    from gateway.config import Config


@dataclass(frozen=True, slots=True)
class Material:
    """Keys for parts that are to go on with others."""

    key: Key | None = None
    """What tokens are verified with; None where they are not, or a set of keys is fetched."""
    seal_keys: Sequence[bytes] = ()
    """What results in Redis are sealed with; none where they are not kept there."""

    @classmethod
    def read(cls, config: Config) -> Self:
        """
        Raises:
            UnusableKey: a file cannot be used; the message names its setting.
        """
        identity, sync = config.identity, config.sync
        is_verifying = identity.mode == "verify" and not identity.jwks_url
        key = read_key(identity) if is_verifying else None
        if sync.result_store != "redis":
            return cls(key)
        try:
            return cls(key, read_keys(sync.seal_key_file))
        except UnusableKey as failure:
            raise UnusableKey(f"sync.seal_key_file: {failure}") from None
