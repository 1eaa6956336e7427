"""What parts note of a request that is traced. Where tracing is off there is nothing of this."""
