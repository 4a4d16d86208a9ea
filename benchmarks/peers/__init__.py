"""Other training frameworks, each in an environment of its own. `environments` makes them, `run_*` are run by their Python."""
