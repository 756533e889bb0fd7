"""The tables of the command line: one file for each wing of the engine."""
