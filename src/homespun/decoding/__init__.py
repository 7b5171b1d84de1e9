"""How a model writes: tokens, the probabilities of the next one, strategies of choosing, and pictures of them."""
