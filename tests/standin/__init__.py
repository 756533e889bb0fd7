"""A GPU that is not there, and every operation run on it: `python -m tests.standin`."""
