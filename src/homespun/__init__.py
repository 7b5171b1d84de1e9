"""Homespun: run, ground and fine-tune language models on your own machine, and measure which you need."""

__version__ = "0.1.0"
