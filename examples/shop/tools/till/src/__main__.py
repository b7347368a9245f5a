"""Entry point of the zip application."""

import sys

from till.command import main

sys.exit(main())
