"""Labels of a face set that are probably wrong: `find.find_label_errors` lists them, and `report` writes the list."""
