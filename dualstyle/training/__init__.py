"""Training: recipes, losses, one step per stage, and one loop for all stages."""
