"""The nouns of extune: tasks, examples, annotations, prompts, predictions. Plain data, no I/O, no models."""
