"""The command line: flags, parsing, one module a group of verbs. It reaches everything through services."""
