"""pkpd."""
