"""Phones, topologies, tying trees, Gaussian mixtures and forced alignment."""
