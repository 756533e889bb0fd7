"""The command line, the second front end for the engine's requests."""
