"""OCI formats, verification and registry access of Catalyst Forge.

`forge_oci.core` needs the standard library and cryptography only; `forge_oci.registry` needs the extra `registry`.
"""
