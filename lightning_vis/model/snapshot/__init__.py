"""What puts a model back as it was, whatever its forward does."""
