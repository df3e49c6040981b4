"""Ways to learn where visual tokens are."""
