"""Videos in tar files: each a range of bytes, here or on a web server."""
