"""Jobs as the orchestrator tells of them."""
