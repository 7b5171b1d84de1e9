"""Tuning: from a person's examples to an adapter that is live in the running engine, with a receipt."""
