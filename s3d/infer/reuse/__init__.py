"""What overlapping windows share is computed once."""
