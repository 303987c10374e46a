"""One pass over a network, maps made of it, and a frame made of the maps."""

from lightning_vis.attribution.maps import evidence_map as evidence_map
from lightning_vis.attribution.maps import grad_cam_map as grad_cam_map
from lightning_vis.attribution.maps import is_drawable as is_drawable
from lightning_vis.attribution.maps import saliency_map as saliency_map
from lightning_vis.attribution.methods.products import grad_cam_plus_plus_map as grad_cam_plus_plus_map
from lightning_vis.attribution.methods.products import layer_cam_map as layer_cam_map
from lightning_vis.attribution.methods.products import product_map as product_map
from lightning_vis.attribution.methods.views import grad_cam_plus_plus as grad_cam_plus_plus
from lightning_vis.attribution.methods.views import hires_cam as hires_cam
from lightning_vis.attribution.methods.views import input_x_gradient as input_x_gradient
from lightning_vis.attribution.methods.views import layer_cam as layer_cam
from lightning_vis.attribution.metrics import background_lift as background_lift
from lightning_vis.attribution.metrics import edge_map as edge_map
from lightning_vis.attribution.metrics import lift as lift
from lightning_vis.attribution.metrics import pointing as pointing
from lightning_vis.attribution.metrics import resized as resized
from lightning_vis.attribution.views import evidence as evidence
from lightning_vis.attribution.views import grad_cam as grad_cam
from lightning_vis.attribution.views import saliency as saliency
