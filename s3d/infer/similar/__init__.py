"""Which moments of a folder move like a clip: what is measured, kept, ranked and shown."""
