"""Documents kept, and the passages that fit a question found again."""
