"""The report: the notebook repeated as a document, with its observations compared with measurements."""
