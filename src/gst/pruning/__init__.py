"""Which weights or filters are removed: masks, scores and exact counts."""
