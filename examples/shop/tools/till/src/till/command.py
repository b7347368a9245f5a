"""`till [FILE]` prints the receipt for the lines of a file, or of standard input."""

import argparse
import sys

from till.receipt import LineError, receipt

VERSION = "1.0.0"


def main() -> int:
    """Exit code 0, or 2 where a line can't be understood."""
    parser = argparse.ArgumentParser(prog="till", description=__doc__)
    parser.add_argument("file", nargs="?", type=argparse.FileType(), default=sys.stdin)
    parser.add_argument("--version", action="version", version=f"till {VERSION}")
    try:
        print(receipt(parser.parse_args().file))
    except LineError as error:
        print(f"till: {error}", file=sys.stderr)
        return 2
    return 0
