"""The tab of TensorBoard that plays a training. It needs TensorBoard alone: neither torch nor Lightning is imported."""
