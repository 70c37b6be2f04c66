"""The shipped core behind the C interface of the public matching-engine challenge (README.md)."""
