"""The methods that people look for by name, each one map and one view."""
