"""What experiments found, as pictures."""
