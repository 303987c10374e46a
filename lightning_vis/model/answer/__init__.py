"""What a network's output means: one task, its score, its unit, its words."""
