"""Models of messages, entities and configuration; one module for each subject."""
