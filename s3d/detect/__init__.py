"""Action detection: who does what, where and when."""
