"""Figures and pages that people read: `figures` is their common style, the other modules draw."""
