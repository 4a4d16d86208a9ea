"""One YAML file that says everything about one training."""
