"""Worker service of Catalyst Forge."""
