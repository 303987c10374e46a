"""One pass over a network, maps made of it, and a frame made of the maps."""

from lightning_vis.attribution.maps import evidence_map as evidence_map
from lightning_vis.attribution.maps import grad_cam_map as grad_cam_map
from lightning_vis.attribution.maps import is_drawable as is_drawable
from lightning_vis.attribution.maps import saliency_map as saliency_map
from lightning_vis.attribution.metrics import background_lift as background_lift
from lightning_vis.attribution.metrics import edge_map as edge_map
from lightning_vis.attribution.metrics import lift as lift
from lightning_vis.attribution.metrics import pointing as pointing
from lightning_vis.attribution.metrics import resized as resized
