"""A transparent HTTP gateway in front of TheEye's orchestrator.

Everything passes through untouched, except that a client may wait for a job: the gateway creates
the job upstream, answers 303 to ``/job/<id>/result``, holds that request until the job ends, and
answers 303 again or the formatted result.

The folder listing is the architecture: ``cli`` starts a ``server`` or several ``workers``, ``app``
joins the parts, every request passes the stages of ``pipeline``, ``admission`` among them, and then
goes down to ``proxy`` (pass-through) or ``sync`` (the wait), both of which reach the orchestrator
through ``upstream`` only. ``ops`` reads what the others offer, on a port of its own. ``demo`` is a
small orchestrator, for trying out and for the tests.
"""

__version__ = "0.1.0"
