"""What a network learnt: analyses that give numbers, and pictures of them."""
