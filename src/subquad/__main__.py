"""`python -m subquad` is the `subquad` command."""

from subquad.cli.main import run

if __name__ == "__main__":
    run()
