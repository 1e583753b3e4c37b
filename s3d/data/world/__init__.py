"""A world to learn motion from: drawn from a seed, as fast as training eats it, with its labels."""
