"""One request's way from its client to the orchestrator or to the wait, and back."""
