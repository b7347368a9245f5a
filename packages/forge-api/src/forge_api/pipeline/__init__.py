"""Carries out runs: what to do (planner), in which order (walk), and what became of it (recorder)."""
