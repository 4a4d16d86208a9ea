"""Bases, adapters and their files: found, checked, loaded and saved."""
