"""When to look whether jobs have ended, and with whose token. Pure."""
