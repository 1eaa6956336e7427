"""TheEye: its routes, its jobs, and how its JavaScript writes JSON."""
