"""Claims about a network, as lessons make them: each is measured on the network that is open."""
