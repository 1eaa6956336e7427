"""What waiting costs the upstream, and how late results come."""
