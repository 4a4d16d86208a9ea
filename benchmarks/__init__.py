"""Scripts that measure, and the figures they measured."""
