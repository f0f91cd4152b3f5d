"""What a running Commun writes into its ledger: editions, receipts, models, versions, retention.

Knows the ledger, the charter and the store; refuses to know engines, turns and pages (``app.py`` connects them).
"""
