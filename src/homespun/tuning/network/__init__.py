"""The network that is trained: the GGUF's own weights, frozen, with what is learnt beside them.

Tokens of all examples stand one behind the other, (N, width), without a single filling token: only the
attention knows where an example ends, so packed examples cannot see each other.
"""
