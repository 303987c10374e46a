"""Event files and loggers, there and back."""
