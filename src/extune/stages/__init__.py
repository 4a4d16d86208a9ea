"""One run, one verb, one file. A stage wires rooms together and returns plain data; it prints nothing."""
