"""Other settings for a process that runs: when they are read, whether they hold, who takes them."""
