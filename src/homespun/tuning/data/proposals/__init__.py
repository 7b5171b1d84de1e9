"""Question/answer pairs out of a person's own documents: answers are quotes, questions are written by a model."""
