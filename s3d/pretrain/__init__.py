"""Learn to see motion from videos that our own code draws, and measure what that is worth."""
