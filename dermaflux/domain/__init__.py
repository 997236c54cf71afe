"""Layer 0: the vocabulary, the caption grammar, the records and the errors. Plain Python, no framework."""
