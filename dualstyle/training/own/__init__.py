"""A style of one's own, from a folder of portraits to a domain: ``python -m dualstyle train``."""
