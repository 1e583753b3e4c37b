"""What networks cost, and what they learnt."""
