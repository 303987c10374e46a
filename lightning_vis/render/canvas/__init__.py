"""What every picture is drawn with: colours, sizes, text, tiles."""
