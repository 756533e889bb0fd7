"""The app in a browser: a server on textual-serve, a process for each visitor."""
