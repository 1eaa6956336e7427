"""What operators see of one process at one moment, and of several together."""
