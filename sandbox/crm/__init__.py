"""The CRM API v4: which chats there are, of all channels, and which changed."""
