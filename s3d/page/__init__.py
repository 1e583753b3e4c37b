"""What every page that s3d writes shares: its style, how names are written, pictures inside it."""
