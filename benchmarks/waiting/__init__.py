"""Measurements of what waiting for jobs costs, and how soon the result comes."""
