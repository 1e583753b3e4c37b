"""Boxes as numbers: areas and overlaps, suppression, and features cut out along boxes."""
