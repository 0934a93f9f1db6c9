"""The endpoints under ``/_sandbox/`` that change and show what the sandbox holds.

They are for scripts that run the sandbox as a process. They need no signature,
and Kommo has nothing like them. What they do raises the events that Kommo raises.
"""
