"""The clock that looks are timed with.

It is not read as ``time.perf_counter``: tests of users put a list of times there, one for each call of their own.
"""

from time import monotonic, perf_counter

__all__ = ["monotonic", "perf_counter"]
