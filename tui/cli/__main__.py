"""`python -m tui.cli`: the command line without the `mnist-tui` script."""

from tui.cli.main import main

main()
