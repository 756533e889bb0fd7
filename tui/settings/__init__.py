"""What stays from one session to the next: what the user writes into settings.toml, and what the app remembers."""
