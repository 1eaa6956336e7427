"""Pure rules of what is spoken. No loop, no I/O."""
