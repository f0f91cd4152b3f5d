"""Signing in at an identity provider of the operator's choice (OpenID Connect Core 1.0, Authorization Code with PKCE).

A provider says who somebody is, and nothing else: it gives no key, and what it says opens no vault.
"""
