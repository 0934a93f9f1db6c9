"""The account whose chats the sandbox serves, and what both APIs know it by."""

ACCOUNT_ID = 17_029_541
AMOJO_ID = "d3a8417e-0f6b-4c29-b5d1-7c20e9a6f835"
"""The account's id in the Chats API: the second half of each of its scopes."""
USER_ID = 9_120_044
"""The user whose token it is, and who writes what no other is named for."""
