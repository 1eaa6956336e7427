"""A small TheEye orchestrator in memory: what the demo shows and what the tests use.

It answers as the last version without a sync mode (4.4.3) does, or as 4.6.0 or 4.15.3 in all but
their sync mode, and its tasks really run.
"""
