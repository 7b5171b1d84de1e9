"""Before you start: what fits, what quantizing loses, what numbers can hold, what it costs, what to choose."""
