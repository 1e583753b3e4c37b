"""Training a detector: options, what the data leave to choose, the loop."""
