"""Networks on sequences: Paramixer and ChordMixer, and rivals in its place."""
