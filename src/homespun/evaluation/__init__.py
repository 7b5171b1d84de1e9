"""Answers to verdicts: metrics, and later the statistics over them."""
