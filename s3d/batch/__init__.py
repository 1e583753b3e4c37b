"""Work over many videos: a job makes of each one rows or a named failure, here or on a cluster."""
