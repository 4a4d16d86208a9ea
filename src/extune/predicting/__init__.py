"""Text becomes predictions: encoder, engine, parsing and alignment behind one class."""
