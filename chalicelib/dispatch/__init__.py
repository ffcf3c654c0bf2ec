"""The scripts that Redis runs for the queue: which job comes next, and who may ask how often."""
