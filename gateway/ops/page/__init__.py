"""The operators' page: its files, and the snapshots that it shows."""
