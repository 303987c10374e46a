"""Frames to pictures: NumPy and Pillow, no torch."""
