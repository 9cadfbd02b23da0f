"""Trained runs outside the workflow: a folder that recognises speech by itself."""
