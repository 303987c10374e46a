"""How much an answer rests on the background: twins, numbers, alert."""

from lightning_vis.reliance.metrics import background_driven as background_driven
from lightning_vis.reliance.metrics import background_effects as background_effects
from lightning_vis.reliance.metrics import background_share as background_share
from lightning_vis.reliance.metrics import object_effects as object_effects
from lightning_vis.reliance.metrics import only_background_accuracy as only_background_accuracy
from lightning_vis.reliance.metrics import paste_control as paste_control
from lightning_vis.reliance.metrics import total_variation as total_variation
from lightning_vis.reliance.metrics import twin_numbers as twin_numbers
from lightning_vis.reliance.metrics import typical_gap as typical_gap
from lightning_vis.reliance.metrics import variation_of_backgrounds as variation_of_backgrounds
from lightning_vis.reliance.metrics import variation_of_objects as variation_of_objects
from lightning_vis.reliance.metrics import worst_group as worst_group
