"""One screen a file, named as on the key bar."""
