"""The attributes `@repo` and `@artifact`: reading, checking, and the values that they stand for."""

ARTIFACT = "artifact"
REPO = "repo"
