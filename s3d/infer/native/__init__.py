"""Convolutions below the count of multiplications that their sums need, compiled where they run."""
