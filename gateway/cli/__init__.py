"""The commands, and where settings come from."""
