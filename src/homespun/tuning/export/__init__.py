"""Adapters for other programs, each read back by the program that will read it, and refused when it is off."""
