"""Exercises: the notebooks with our solutions, what looks at answers, and a data set that hides a mistake."""
