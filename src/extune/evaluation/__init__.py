"""Scores: numbers in, numbers out. It knows nothing about files, models and pages."""
