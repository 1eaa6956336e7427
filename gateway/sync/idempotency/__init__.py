"""Creations with an ``Idempotency-Key``: each makes one job, however often it is repeated."""
