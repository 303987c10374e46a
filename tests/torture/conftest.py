"""Prints the matrix as a table."""

from __future__ import annotations

from typing import Any

from .table import table


def pytest_terminal_summary(terminalreporter: Any) -> None:
    reports = [report for kind in ("passed", "failed") for report in terminalreporter.stats.get(kind, [])]
    rows = [value for report in reports for key, value in report.user_properties if key == "torture"]
    caught = [value for report in reports for key, value in report.user_properties if key == "caught"]
    if rows or caught:
        terminalreporter.write_line("")
        terminalreporter.write_line(table(rows, caught))
