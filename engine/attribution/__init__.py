"""Explanations of a prediction: occlusion, gradient methods, and how faithful their maps are."""
