"""Renderers of a report; a renderer knows nothing of formats or checks."""
