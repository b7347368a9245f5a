"""Formats, digests, archives, signatures: everything that works without a network.

Nothing is imported here on purpose: a process that starts for every Argo CD refresh pays for what it uses only.
"""
