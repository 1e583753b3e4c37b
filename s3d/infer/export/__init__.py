"""A model as a file of another runtime, held against the network before it is kept."""
