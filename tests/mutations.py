"""Event files whose parts are damaged, with right checksums around them."""

from __future__ import annotations

import json

from tab_runs import film_of, inputs_of, write_run
from tensorboard.compat.proto import event_pb2
from torch.utils.tensorboard import SummaryWriter

from lightning_vis.events.event_file import event_files, records

WORSE = (None, -1, 0, 1e308, "x" * 300, [], {}, [[None]], True, "<img src=x>", {"a": {"b": [1, {"c": None}]}})


def mutated(facts, chance):
    """Facts of a part with one of them, at some depth, made something else."""
    facts = json.loads(json.dumps(facts))
    place, key = facts, chance.choice([name for name in facts if name not in ("format", "part", "fit", "probe", "stream")])
    while isinstance(place[key], dict) and place[key] and chance.random() < 0.6:
        place, key = place[key], chance.choice(sorted(place[key]))
    place[key] = chance.choice(WORSE)
    return facts


def nested(depth):
    return (
        b'{"format": 1, "part": "facts", "fit": "9", "probe": "probe", "stream": "frames", "steps": 10, "numbers": '
        + b"[" * depth
        + b"]" * depth
        + b"}"
    )


def write_mutated(folder, chance, depth=None):
    """A run whose parts are those of a sound one, but for one in three of them, with right checksums around."""
    write_run(folder.parent.parent / "sources" / folder.name, film_of(4), inputs_of(), scalars=False)
    ((_, paths),) = event_files(folder.parent.parent / "sources" / folder.name)
    writer = SummaryWriter(folder)
    for data in records(paths[0]):
        event = event_pb2.Event.FromString(data)
        for value in event.summary.value:
            plugin = value.metadata.plugin_data
            if plugin.content.startswith(b"{") and depth and b'"facts"' in plugin.content:
                plugin.content = nested(depth)
            elif (
                plugin.content.startswith(b"{") and not depth and chance.random() < 0.34 and len(json.loads(plugin.content)) > 6
            ):
                plugin.content = json.dumps(mutated(json.loads(plugin.content), chance)).encode()
            elif value.tensor.string_val and chance.random() < 0.1:
                value.tensor.string_val[0] = value.tensor.string_val[0][: chance.randrange(60)]
        writer.file_writer.add_event(event)
    writer.close()
