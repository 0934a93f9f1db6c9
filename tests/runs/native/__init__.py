"""Tests of reading the chats of native channels."""
