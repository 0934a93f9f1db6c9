"""What the sandbox holds at the start: invented, and the same in every run."""
