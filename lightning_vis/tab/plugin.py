"""The plugin: its addresses, and a fixed table of files.

TensorBoard imports this module at its start, unguarded against its failing: it imports nothing that TensorBoard does not bring.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from tensorboard import errors, plugin_util
from tensorboard.backend import http_util
from tensorboard.data import provider
from tensorboard.plugins import base_plugin
from werkzeug import wrappers

from lightning_vis.constants import LATEST, PLUGIN
from lightning_vis.events.decode import finite
from lightning_vis.events.part import media_type
from lightning_vis.tab import answers

STATIC = Path(__file__).parent / "static"
KINDS = {".css": "text/css", ".js": "application/javascript"}
ASSETS = {
    path.relative_to(STATIC).as_posix(): KINDS[path.suffix] for path in sorted(STATIC.rglob("*.*")) if path.suffix in KINDS
}
"""All that is ever read from the disk, once: no address decides on a path."""
ALIAS = f"/plugin/{PLUGIN}"
"""TensorBoard's page imports our module by a path below the base that it sets. WebKit goes by the page's own address instead: from there
this path leads to where the files are, from that base to a second address of theirs."""
DAY = 86_400
MOST_POINTS = 1000
MOST_KEYS = 32
MOST_READERS = 16

Application = Callable[..., Iterable[bytes]]
Answer = Callable[[wrappers.Request, Any, str], wrappers.Response]

logger = logging.getLogger("tensorboard.lightning_vis")


class LightningVisPlugin(base_plugin.TBPlugin):  # type: ignore[misc]  # TensorBoard has no types
    """What TensorBoard asks of a plugin.

    Args:
        context: from TensorBoard; only its data provider is used.
    """

    plugin_name = PLUGIN

    def __init__(self, context: base_plugin.TBContext) -> None:
        self._provider = context.data_provider
        self._readers = ThreadPoolExecutor(MOST_READERS, thread_name_prefix="lightning_vis")

    def is_active(self) -> bool:
        """Whether the tab is shown without there being data of ours: it is not; TensorBoard finds data by itself."""
        return False

    def data_plugin_names(self) -> tuple[str, ...]:
        """Whose data make the tab appear."""
        return (PLUGIN,)

    def frontend_metadata(self) -> base_plugin.FrontendMetadata:
        """Where the page begins and what the tab is called."""
        return base_plugin.FrontendMetadata(es_module_path=f"{ALIAS}/static/index.js", tab_name="Lightning Vis")

    def get_plugin_apps(self) -> dict[str, Application]:
        """The addresses below ``data/plugin/lightning_vis``."""
        assets = {f"/static/{name}": _asset(name, kind) for name, kind in ASSETS.items()}
        apps = assets | {f"{ALIAS}{path}": asset for path, asset in assets.items()}
        routes = {
            "/runs": self._runs,
            "/data": self._data,
            "/part": self._part,
            "/blobs": self._blobs,
            "/scalars": self._scalars,
            "/scalar": self._scalar,
        }
        return apps | {path: _guarded(answer) for path, answer in routes.items()}

    def _runs(self, request: wrappers.Request, ctx: Any, experiment: str) -> wrappers.Response:
        """All runs with frames, and the constants that colour them."""
        found = self._provider.list_blob_sequences(
            ctx,
            experiment_id=experiment,
            plugin_name=PLUGIN,
            run_tag_filter=provider.RunTagFilter(tags=[LATEST]),
        )
        return _json(request, answers.runs({run: tags[LATEST].max_wall_time for run, tags in found.items()}))

    def _data(self, request: wrappers.Request, ctx: Any, experiment: str) -> wrappers.Response:
        """The looks of one run that were written after a moment: when, what was answered, numbers, keys of pictures."""
        run, since = _text(request, "run"), _float(request, "since")
        known = frozenset(request.args.get("known", "").split(","))
        found = self._provider.list_blob_sequences(
            ctx,
            experiment_id=experiment,
            plugin_name=PLUGIN,
            run_tag_filter=provider.RunTagFilter(runs=[run]),
        )
        if run not in found:
            raise errors.NotFoundError(f"no frames in a run {run[:80]!r}")
        return _json(request, answers.looks(run, found[run], since, known))

    def _part(self, request: wrappers.Request, ctx: Any, experiment: str) -> wrappers.Response:
        """All facts of one part: the captions of its pictures too, which `_data` leaves out."""
        series = self._series(_text(request, "key"), ctx, experiment)
        return _json(request, answers.facts(series.plugin_content))

    def _blobs(self, request: wrappers.Request, ctx: Any, experiment: str) -> wrappers.Response:
        """The pictures of some parts of ours in one answer: those of a moment are many, small, and shown together."""
        keys = request.args.getlist("key")
        if not 1 <= len(keys) <= MOST_KEYS:
            raise errors.InvalidArgumentError(f"expected one to {MOST_KEYS} key=")
        pictures = self._pictures([answers.found_key(key) for key in keys], ctx, experiment)
        kept = DAY if all(isinstance(each, bytes) for each in pictures) else 0
        return _respond(request, answers.packed(pictures), "application/octet-stream", expires=kept)

    def _pictures(self, places: list[tuple[str, str] | None], ctx: Any, experiment: str) -> list[bytes | str]:
        """Those of runs and their tags, each for itself: its bytes, or why it cannot be had."""
        known = [place for place in places if place is not None]
        if not known:  # a filter that names nothing lets everything through
            return [answers.NOT_OURS for _ in places]
        found = self._provider.read_blob_sequences(
            ctx,
            experiment_id=experiment,
            plugin_name=PLUGIN,
            downsample=1,
            run_tag_filter=provider.RunTagFilter(runs={run for run, _ in known}, tags={tag for _, tag in known}),
        )
        # Side by side: TensorBoard's own line to its loader answers each of them up to a twentieth of a second late.
        try:
            coming = [self._readers.submit(self._picture, place, found, ctx) for place in places]
        except RuntimeError:  # Python is ending, and lets nobody begin anything
            return ["TensorBoard is ending" for _ in places]
        return [each.result() for each in coming]

    def _picture(self, place: tuple[str, str] | None, found: Any, ctx: Any) -> bytes | str:
        if place is None:
            return answers.NOT_OURS
        run, tag = place
        events = found.get(run, {}).get(tag)
        try:
            data = self._provider.read_blob(ctx, blob_key=events[-1].values[0].blob_key) if events else b""
        except errors.PublicError as error:
            return f"TensorBoard answers with {error.http_code}"
        except Exception:  # of one picture alone: the others of the answer are whole
            logger.exception("Lightning Vis could not read a picture of %s", run)
            return "it could not be read; TensorBoard's log says why"
        return data if media_type(data) else "TensorBoard has no picture of it"

    def _series(self, key: str, ctx: Any, experiment: str) -> Any:
        """What TensorBoard knows of a part. It is asked by our plugin's name: nothing of other plugins is served."""
        run, tag = answers.parse_key(key)
        found = self._provider.list_blob_sequences(
            ctx,
            experiment_id=experiment,
            plugin_name=PLUGIN,
            run_tag_filter=provider.RunTagFilter(runs=[run], tags=[tag]),
        )
        if tag not in found.get(run, {}):
            raise errors.NotFoundError("there is nothing under this key")
        return found[run][tag]

    def _scalars(self, request: wrappers.Request, ctx: Any, experiment: str) -> wrappers.Response:
        """The names of a run's own scalars."""
        run = _text(request, "run")
        found = self._provider.list_scalars(
            ctx, experiment_id=experiment, plugin_name="scalars", run_tag_filter=provider.RunTagFilter(runs=[run])
        )
        return _json(request, {"tags": sorted(found.get(run, {}))})

    def _scalar(self, request: wrappers.Request, ctx: Any, experiment: str) -> wrappers.Response:
        """One scalar of a run: steps and values."""
        run, tag = _text(request, "run"), _text(request, "tag")
        found = self._provider.read_scalars(
            ctx,
            experiment_id=experiment,
            plugin_name="scalars",
            downsample=MOST_POINTS,
            run_tag_filter=provider.RunTagFilter(runs=[run], tags=[tag]),
        )
        points = found.get(run, {}).get(tag)
        if points is None:
            raise errors.NotFoundError(f"no scalar {tag[:80]!r} in a run {run[:80]!r}")
        return _json(request, {"points": [[point.step, finite(point.value)] for point in points]})


def _asset(name: str, kind: str) -> Application:
    """A file as it was at the start: one that is replaced below a running server may speak of addresses that this one does not have."""
    content = (STATIC / name).read_bytes()

    @wrappers.Request.application
    def serve(request: wrappers.Request) -> wrappers.Response:
        return _respond(request, content, kind)

    return serve


def _guarded(answer: Answer) -> Application:
    """Answers a request, or says in one line why not: nothing that goes wrong here reaches TensorBoard."""

    @wrappers.Request.application
    def serve(request: wrappers.Request) -> wrappers.Response:
        if request.method not in ("GET", "HEAD"):
            return _refused(request, 405, "only GET is answered here")
        try:
            experiment = plugin_util.experiment_id(request.environ)
            return answer(request, plugin_util.context(request.environ), experiment)
        except (errors.InvalidArgumentError, ValueError) as error:
            return _refused(request, 400, str(error))
        except (errors.NotFoundError, KeyError) as error:
            return _refused(request, 404, str(error))
        except errors.PublicError as error:
            return _refused(request, error.http_code, str(error))
        except Exception:
            logger.exception("Lightning Vis could not answer %s", request.path)
            return _refused(request, 500, "Lightning Vis could not answer; TensorBoard's log says why")

    return serve


def _refused(request: wrappers.Request, code: int, reason: str) -> wrappers.Response:
    return _respond(request, answers.dumped({"error": reason[:300]}), "application/json", code=code)


def _json(request: wrappers.Request, content: dict[str, Any]) -> wrappers.Response:
    return _respond(request, answers.dumped(content), "application/json")


def _respond(request: wrappers.Request, content: str | bytes, kind: str, **options: Any) -> wrappers.Response:
    response: wrappers.Response = http_util.Respond(request, content, kind, **options)
    return response


def _text(request: wrappers.Request, name: str) -> str:
    values = request.args.getlist(name)
    if len(values) != 1 or not values[0] or "\0" in values[0]:
        raise errors.InvalidArgumentError(f"expected one {name}=")
    return str(values[0])


def _float(request: wrappers.Request, name: str) -> float:
    text = request.args.get(name, "0")
    value = float(text) if len(text) < 40 else math.inf
    if not math.isfinite(value):
        raise ValueError(f"{name}= must be a number")
    return value
