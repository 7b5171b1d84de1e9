"""Embedders of every kind, and the list of them in the home."""
