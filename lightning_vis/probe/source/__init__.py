"""What a Trainer's data and step say: the answer, the call, the images."""
