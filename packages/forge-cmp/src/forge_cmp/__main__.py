"""`python -m forge_cmp`."""

from forge_cmp.command import run

if __name__ == "__main__":
    run()
