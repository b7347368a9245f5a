"""`python -m forge_cmp`."""

import sys

from forge_cmp.command import main

if __name__ == "__main__":
    sys.exit(main())
