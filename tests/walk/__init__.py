"""A random walk through the app: `python -m tests.walk --keys 30000 --seed N`."""
