"""Annotations of boxes: data sets as they are distributed, and one's own."""
