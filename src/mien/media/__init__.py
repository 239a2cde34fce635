"""Files that anybody may have made: from words on a command line to upright pixels."""
