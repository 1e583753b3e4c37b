"""A detector at work: key frames of a video, the people in them, and what is drawn and written."""
