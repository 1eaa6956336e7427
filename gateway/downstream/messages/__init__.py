"""Clients' requests as bytes: read, bounded and judged without I/O."""
