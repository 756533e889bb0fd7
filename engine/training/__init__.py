"""The training loop. It knows no files."""
