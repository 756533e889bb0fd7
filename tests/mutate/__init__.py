"""Damaged and strange files, and what the program makes of them: `python -m tests.mutate --count 3000`."""
