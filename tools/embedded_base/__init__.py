"""How the embedded base is made, from text files to the folder that ships."""
