"""The pure core: preallocated arrays, compiled kernels over them, and nothing of the world."""
