"""What a network's answer means, read from one batch on its way."""
