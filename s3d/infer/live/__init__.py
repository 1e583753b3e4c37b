"""Live recognition: a camera, a stream or a file is watched as it comes, never later."""
