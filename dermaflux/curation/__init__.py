"""Curation: the image store, reviewers' decisions, and the export of what was accepted.

Start at `store` (open_engine, migrate, CurationStore) and `export` (export_dataset, zip_export).
"""
