"""Data sets: their files, downloads and splits."""
