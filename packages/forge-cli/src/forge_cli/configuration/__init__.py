"""The configuration of a repository on this machine: read, evaluated, and shown, without a platform."""
