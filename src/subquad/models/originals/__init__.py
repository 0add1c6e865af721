"""The checkpoints of others: which network they are of, under which names, and how they are read."""
