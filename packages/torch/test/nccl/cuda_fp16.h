// Nothing of CUDA's is taken from it.
