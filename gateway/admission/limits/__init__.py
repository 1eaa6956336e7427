"""Limits: rates, places and memory, for each client and in all."""
