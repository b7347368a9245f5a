"""Events that the platform tells others about."""
