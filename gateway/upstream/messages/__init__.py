"""Messages to and from the orchestrator as bytes. Pure."""
