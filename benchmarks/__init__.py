"""How fast the exchange is, and how true: seeded workloads, benches, real order flow.  Nothing here is shipped."""
