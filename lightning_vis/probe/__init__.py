"""Where the probe's images come from, and how people see them."""

from lightning_vis.probe.probe import Probe as Probe
