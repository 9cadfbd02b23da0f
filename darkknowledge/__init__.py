"""Knowledge transfer between acoustic models: from raw audio to tables of word error rates."""
