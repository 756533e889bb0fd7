"""Telling the user that a run has ended: by the terminal's bell and notifications, a command and a webhook."""
