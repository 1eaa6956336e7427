"""A transparent HTTP gateway in front of TheEye's orchestrator.

Everything passes through untouched, except that a client may wait for a job: the gateway creates
the job upstream, answers 303 to ``/job/<id>/result``, holds that request until the job ends, and
answers 303 again or the formatted result.

The folder listing is the architecture: ``cli`` starts a ``server`` process or several, ``app``
joins the parts. ``downstream`` takes clients' requests, ``proxy`` leads each through its stages,
with ``admission`` among them, and then passes it through or gives it to ``sync``, which waits for
the job. Both reach the orchestrator through ``upstream`` only. ``protocols`` has the pure rules,
``ops`` reads what the others offer, on a port of its own. ``demo`` is a small orchestrator, for
trying out and for the tests.
"""

from importlib.machinery import EXTENSION_SUFFIXES
from importlib.util import find_spec

__version__ = "0.1.0"


def build() -> str:
    """``compiled`` if what every request goes through was translated to C, else ``interpreted``."""
    spec = find_spec("gateway.proxy.pipeline")
    origin = "" if spec is None else spec.origin or ""
    return "compiled" if origin.endswith(tuple(EXTENSION_SUFFIXES)) else "interpreted"
