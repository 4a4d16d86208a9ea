"""The directory that a training produces and the contract in it."""
