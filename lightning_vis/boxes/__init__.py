"""Boxes around the objects of a run's images: corrected on a page, kept in a file."""
