"""The Lightning that is installed: its Callback, and what is too old."""
