"""A module of this package, run as a process of its own."""

from __future__ import annotations

import asyncio
import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


async def started(
    module: str,
    descriptors: Sequence[int],
    *,
    python: str = sys.executable,
    path: Sequence[str] = sys.path,
) -> asyncio.subprocess.Process:
    """The process, in a group of its own. It has ``descriptors`` by the numbers they have here,
    and that of the first one as its argument. ``path`` is where ``python`` finds modules.

    Raises:
        OSError
    """
    return await asyncio.create_subprocess_exec(
        # It runs this package, not one that lies in the working directory.
        *(python, "-P", "-m", module, str(descriptors[0])),
        stdin=asyncio.subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(path)},
        pass_fds=descriptors,
        process_group=0,
    )
