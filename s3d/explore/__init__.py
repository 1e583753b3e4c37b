"""What networks cost, and what they learnt: measured, written as tables, drawn."""
