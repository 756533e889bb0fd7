"""`python -m tui.cli`: the command line without its script."""

from tui.cli.main import main

main()
