"""Rows of token ids and a recipe's sections become trained weights."""
