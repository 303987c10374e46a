"""Names and numbers that Python, server and page share; nothing imported."""

from __future__ import annotations

PLUGIN = "lightning_vis"
"""Our name in TensorBoard: of the tab, of its addresses, and of the summaries it reads."""


FORMAT = 1
"""Version of what is stored. A reader leaves alone what has a higher one."""


LATEST = f"{PLUGIN}/latest"
"""A tag that is written behind every look: one small question tells which runs have frames, and how new they are."""


SPRITE_COLUMNS = 8
"""Tiles stand side by side in a stored picture up to this number; the next ones begin a row below."""


def _anchors(*rows: str) -> tuple[str, ...]:
    return tuple(" ".join(rows).split())


INFERNO = _anchors(
    "000004 0b0724 210c4a 3d0965 57106e 71196e 8a226a a32c61",
    "bc3754 d24644 e45a31 f1731d f98e09 fcac11 f9cb35 f2ea69 fcffa4",
)
"""Colours at even distances, between which is interpolated."""


CIVIDIS = _anchors(
    "00224e 002e6a 1a386f 32436d 434e6c 535a6d 61656f 6f7073",
    "7d7c78 8c8878 9b9476 aba072 bcae6c cdbb63 dec958 f0d846 fee838",
)


WARM = _anchors("b89c8e d8a58c f0a080 f58f6c f07a5a e6624a d9483a c62c2c ad1426")


COOL = _anchors("8e9cb8 8cabdc 83aef4 739ff8 618cf2 5076e6 4160d6 344ac0 2a36a4")


DIM = 0.55
"""How bright the grey photo under a map is."""


OPAQUE = 0.85
"""How much of the photo a map covers at the most."""


RISE = 2.5
"""How fast it comes to cover it: opacity = OPAQUE x (1 - (1 - strength) ^ RISE)."""


DENSITY_LIMIT = 12.0
"""Times its own mean, where a map is drawn by its shape alone."""


BACKGROUND_CLASSES = ("background",)
"""Class names where labels are label maps and nobody has named them: of the first class alone something is known."""


OUTPUT = "<output>"
"""Names the model's class scores among the layers."""


INPUT = "<input>"
"""Names the image itself among the layers."""


MULTICLASS = "multiclass"
"""The task of one class for each image; what is stored says a task only where it is another one."""


BINARY = "binary"
"""The task of one yes or no for each image."""


MULTILABEL = "multilabel"
"""The task of several labels for each image, each true or not."""


REGRESSION = "regression"
"""The task of numbers, in whatever unit they have."""


UNKNOWN = "unknown"
"""The task of a network of which nobody knows what its output means."""


LOG_ODDS = "log-odds"
"""The unit of the scores of classes and labels."""


TARGET_UNIT = "target's unit"
"""The unit of numbers where nobody has named it."""


SENSITIVITIES = ("saliency", "SmoothGrad")
"""Titles of views that show where a small change of the image matters; other shapes mean other things."""


LIGHTNING = ("pytorch_lightning", "lightning")
"""The names under which Lightning comes."""


ERROR = "answers/error"
"""The tag of the signed error of each image, over the spread of the targets."""


FILTERS = "filters/"
"""Before a layer's name: pictures of its filters, among those of a frame; and a view of them."""


EXCHANGE = "exchange"
"""The pictures of an exchange of surroundings, among those of a frame: rows of three."""


CONVINCES = "convinces"
"""The patches that carry a class to other images: two pictures of each, its image and one that it is pasted on."""


SURE = "sure"
"""The surest mistakes, and behind them the surest hits."""


TWINS = "twins"
"""Those of twins: object after object, each on all backgrounds."""


VERDICT = "verdict"
"""A view of what both found."""


ALONE = ("validate", "test")
"""Moments of looks outside of fit, in the order in which they stand behind a look of the fit at the same steps."""


def place_of(moment: str) -> int:
    """0 for looks of a fit, 1 and up for those outside of it."""
    return ALONE.index(moment) + 1 if moment in ALONE else 0


PAGE = {
    "inferno": INFERNO,
    "cividis": CIVIDIS,
    "warm": WARM,
    "cool": COOL,
    "dim": DIM,
    "opaque": OPAQUE,
    "rise": RISE,
    "densityLimit": DENSITY_LIMIT,
    "spriteColumns": SPRITE_COLUMNS,
}
"""What the page needs for its drawing, under its own names."""
