"""Runs the matrix, or the scenarios named: ``python -m tests.torture [NAME ...]``."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

if __name__ == "__main__":
    chosen = ["-k", " or ".join(sys.argv[1:])] if sys.argv[1:] else []
    raise SystemExit(pytest.main([str(Path(__file__).parent), "-q", *chosen]))
