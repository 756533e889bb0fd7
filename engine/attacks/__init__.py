"""Images made to be mistaken: the notebook's section 3, and attacks that bound or minimise what they change."""
