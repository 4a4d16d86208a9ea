"""How the things in `src/extune/shipped` are made."""
