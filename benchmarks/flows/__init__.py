"""Order flow of other people's benchmarks, made here by their published laws."""
