"""The exit codes of `mnist-tui`."""

DONE, FAILED, BAD_INPUT, INTERRUPTED = 0, 1, 2, 130
