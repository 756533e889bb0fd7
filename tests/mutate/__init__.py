"""Mutation testing of the program's file readers with damaged files: `python -m tests.mutate --count 3000`."""
