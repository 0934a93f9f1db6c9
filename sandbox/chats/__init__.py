"""The Chats API: the messages of the conversations of one channel."""
