"""What the commands of a terminal share: the settings they are given, tables, ids, ages, a database for one command."""
