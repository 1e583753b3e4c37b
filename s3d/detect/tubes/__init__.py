"""How boxes of single frames become tubes. Numpy alone."""
