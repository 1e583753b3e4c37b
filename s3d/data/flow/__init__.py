"""Optical flow: computed, kept in files, found again."""
