"""`python -m forge_cli` is `forge`."""

from forge_cli.main import main

main()
