"""The verbs of the command line, one file per family: each reads its arguments, calls the Python API, and says what came out."""
