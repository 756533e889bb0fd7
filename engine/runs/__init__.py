"""Run folders: recording, resuming, listing, comparing, import and export."""
