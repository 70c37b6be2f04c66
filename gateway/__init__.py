"""Admits: order entry for traders, control for operators, identities.  Of the engine it knows the schema only."""
