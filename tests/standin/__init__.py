"""A simulated GPU, and every operation run on it: `python -m tests.standin`."""
