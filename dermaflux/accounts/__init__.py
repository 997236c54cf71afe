"""Local accounts: who there is, with which role and password, and the keys that stand for them for a while.

It knows no HTTP, no cookie and no page; what a role may do says `dermaflux.domain.roles`.
"""
