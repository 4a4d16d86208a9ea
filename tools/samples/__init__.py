"""Writes the synthetic samples that ship with extune, from lexicons and templates of its own."""
