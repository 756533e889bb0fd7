"""The laboratory without a screen: requests in, events out. Nothing in here knows of a terminal."""
