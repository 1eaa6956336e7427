"""Small bounded stores in a process's own memory."""
