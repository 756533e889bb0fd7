"""Run folders: recording, resuming, listing, comparing, importing and exporting."""
