"""Files that anybody may have made, read within limits: what several rooms need to read pictures."""
