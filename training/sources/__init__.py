"""Public skin lesion sets, each described once: where its table is, what its columns and words mean, under what terms.

A description holds no code; `reading` reads them all. Nothing here is downloaded or bundled.
"""
