"""Lessons: short walks through the program's own screens, with claims that are measured on the open network."""
