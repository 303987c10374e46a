"""Tests of the witness: set-ups as people write them, and what is to be read from each."""
