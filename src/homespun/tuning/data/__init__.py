"""A person's examples: read from files, split, and looked over before anything is learnt from them."""
