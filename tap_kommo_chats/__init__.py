"""Singer tap for the chat messages of Kommo (formerly amoCRM)."""
