"""One run as a callback sees it: its images, its looks, and where they go."""
