"""One script per paper; each opens with its command, its time, and the numbers to expect."""
