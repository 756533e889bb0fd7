"""Data sets: files, downloads and splits."""
