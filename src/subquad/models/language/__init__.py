"""Networks that say how a text goes on: causal mixers in turn, at once or token by token."""
