"""What filters and classes want to see."""

from lightning_vis.constants import OUTPUT as OUTPUT
from lightning_vis.maximization.maximizer import Maximized as Maximized
from lightning_vis.maximization.maximizer import maximize as maximize
