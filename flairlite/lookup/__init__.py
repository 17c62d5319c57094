"""Look words up in tables of vectors, in NumPy: what embeddings and exported models share."""
