"""The scripts that Redis runs for the queue: which job comes next, and how often an owner or a worker may ask."""
