"""Deadlines: when an open order is at risk, late or stuck (rule 19). Pure functions."""
