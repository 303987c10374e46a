"""Sites: where in a network the image's grid survives, and what passes there."""
