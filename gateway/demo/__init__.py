"""A small TheEye orchestrator in memory: what the demo shows and what the tests use.

It answers as the last version without a sync mode (4.4.3) does, and its tasks really run.
"""
