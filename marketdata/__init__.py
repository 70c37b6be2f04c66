"""Tells: the public feed, and what is derived from it.  Of the engine it knows the schema only."""
