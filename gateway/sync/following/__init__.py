"""Jobs that are watched on after their clients have left, so that their results are kept."""
