"""Git: commands with a clean environment, the cache of bare repositories, worktrees."""
