"""`forge init`: looks at a folder, proposes a configuration, checks it, and writes it."""
