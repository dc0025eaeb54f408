"""What operators do with people and keys: `app user` and `app api-key`."""
