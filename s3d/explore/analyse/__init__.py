"""Analyses of trained networks: each measures, writes a table, and draws."""
