"""One run, without Singer: find, plan, read, book, stop, progress, threads."""
