"""A bar that counts, where tqdm is installed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any


class _Silence:
    """What does without tqdm as its bar does with it, and shows nothing."""

    def __init__(self, counted: Iterable[Any]) -> None:
        self._counted = counted

    def __iter__(self) -> Iterator[Any]:
        return iter(self._counted)

    def __enter__(self) -> _Silence:
        return self

    def __exit__(self, *error: object) -> None:
        pass

    def update(self, count: int) -> None:
        """So many more."""


def progress_bar(counted: Iterable[Any] | None = None, **words: Any) -> Any:
    """A bar of tqdm's, or one that shows nothing: a bar is no reason to fail.

    Args:
        counted: what is gone through; nothing where the bar is told by ``update``.
        words: tqdm's own.
    """
    try:
        from tqdm.auto import tqdm
    except ModuleNotFoundError:
        return _Silence(() if counted is None else counted)
    return tqdm(counted, **words)
