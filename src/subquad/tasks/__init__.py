"""Kinds of work, one folder each; no task imports another."""
