"""Sequence training: the competing paths of an utterance and the objectives over them."""
