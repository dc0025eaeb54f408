"""What a client may send that is not meant well: a table of cases, each with the answers it deserves."""
