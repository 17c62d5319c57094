"""Read sentences, decode scores and write labels, in NumPy: what models and exported models share."""
