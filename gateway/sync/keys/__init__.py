"""What is known of idempotency keys, and where it is kept."""
