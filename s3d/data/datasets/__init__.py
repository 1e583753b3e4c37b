"""Data sets as they are distributed: their list files, their folders, their splits."""
