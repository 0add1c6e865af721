"""Networks on sequences: Paramixer, and rivals in its place."""
