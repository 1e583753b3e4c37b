"""Weights that others published: their names, their conventions, read into our networks."""
