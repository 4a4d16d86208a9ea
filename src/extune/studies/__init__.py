"""Jobs that are made of several stages."""
