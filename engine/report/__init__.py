"""The notebook redone as a document, its observations held against numbers."""
