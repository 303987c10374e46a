"""``python -m lightning_vis``."""

import sys

from lightning_vis.cli import main

if __name__ == "__main__":
    sys.exit(main())
