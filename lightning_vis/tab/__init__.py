"""The tab of TensorBoard that plays a training; neither torch nor Lightning here."""
