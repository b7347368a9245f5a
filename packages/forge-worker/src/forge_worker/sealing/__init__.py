"""Sealing an artifact: a copy in object storage, and a signed tracking image with SBOM and provenance."""
