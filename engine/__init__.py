"""The exchange's engine: a pure deterministic core and the log around it.

Importing this package loads neither numba nor the core; import `engine.apply` for the compiled matcher,
`engine.reference` for the readable one, `engine.schema` for the vocabulary.
"""
