"""The commands behind each number and picture of the README."""
