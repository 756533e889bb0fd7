"""The front ends: the terminal application and the command line. They ask the engine's lab and show its events."""
