"""What concerns distributed traces: the fields that carry them from process to process. Pure."""
