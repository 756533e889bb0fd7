"""The training loop, which writes no files."""
