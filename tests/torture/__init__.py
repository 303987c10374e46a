"""The proof that observing changes nothing: tiny trainings run twice, with the callbacks and without, compared at every hook."""
