"""What is proved of a network: certified accuracy by epsilon, and how far one digit is safe."""
