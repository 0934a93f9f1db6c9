"""What a run knows (the ledger), and what it leaves to the next (the bookmarks)."""
