"""Several workers, as the process has them that starts, tells, asks and replaces them."""
