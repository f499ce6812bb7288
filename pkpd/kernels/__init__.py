"""Compiled numerical code: steppers, the closed form for linear systems, dosing events, likelihoods.

Nothing here knows of tables, SciPy or figures. Kernels take flat arrays, never raise, and report an integer status.
"""
