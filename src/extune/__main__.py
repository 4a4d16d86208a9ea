"""`python -m extune`: the command line where the `extune` script is not on the path."""

from extune.cli.main import run

if __name__ == "__main__":
    run()
